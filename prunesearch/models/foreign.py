"""Classification networks of torchvision, by name."""

from __future__ import annotations

from torch import nn

from prunesearch.errors import TaskError, did_you_mean


def torchvision_model(name: str, classes: int) -> nn.Module:
    """A torchvision classification network with random weights.

    Args:
        name: as torchvision lists it, `resnet18`.
        classes: number of outputs.

    Raises:
        TaskError: torchvision has no such classification network, or cannot build it.
    """
    from torchvision import models  # a second of imports that other networks do without

    known = models.list_models(module=models)
    if name not in known:
        raise TaskError(f"torchvision has no classification network '{name}'", did_you_mean(name, known))
    extra = {"init_weights": True, "aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    try:
        model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **extra)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise TaskError(f"torchvision.{name}: {problem}") from problem
    return model

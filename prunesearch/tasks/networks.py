"""Networks by name for data of any shape: what `arrays.npz:mlp-64-32` and `photos/:torchvision.resnet18` build."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from prunesearch import models
from prunesearch.errors import TaskError, did_you_mean
from prunesearch.tasks.reference import FOREIGN

KNOWN = ("mlp", "mlp-64-32", "lenet5", "cnn84", "resnet20", "resnet56", "vgg16", "torchvision.resnet18")


def network(name: str, shape: Sequence[int], classes: int) -> Callable[[], nn.Module]:
    """A function that makes the network for examples of `shape`.

    Args:
        name: `mlp`, `mlp-64-32`, `lenet5`, `cnn84`, `resnet20`, `vgg16` or `torchvision.NAME`.
        shape: of one example: (features,) or (channels, height, width).
        classes: number of outputs.

    Raises:
        TaskError: no such network, or it does not take such examples.
    """
    if name.startswith(FOREIGN):
        _needs_images(name, shape)
        return partial(models.torchvision_model, name.removeprefix(FOREIGN), classes)
    if re.fullmatch(r"mlp(-[1-9]\d*)*", name):
        hidden = [int(width) for width in name.split("-")[1:]] or [300, 100]
        return partial(models.mlp, (math.prod(shape), *hidden, classes))
    if name in ("lenet5", "cnn84"):
        _needs_images(name, shape)
        build = models.lenet5 if name == "lenet5" else models.cnn84
        return partial(build, classes, shape[0], shape[-1])
    if found := re.fullmatch(r"resnet(\d+)", name):
        _needs_images(name, shape)
        return partial(models.resnet, _depth(name, int(found[1])), classes, shape[0])
    if name == "vgg16":
        _needs_images(name, shape)
        return partial(models.vgg16, classes, shape[0])
    raise TaskError(f"network '{name}' is unknown", did_you_mean(name, KNOWN))


def _depth(name: str, depth: int) -> int:
    if depth < 8 or (depth - 2) % 6:
        raise TaskError(
            f"network '{name}': the depth must be 6 n + 2", "resnet20 or resnet56; ImageNet's are torchvision.resnet18"
        )
    return depth


def _needs_images(name: str, shape: Sequence[int]) -> None:
    if len(shape) != 3:
        raise TaskError(
            f"network '{name}' takes images (channels, height, width), the examples are {tuple(shape)}", "mlp takes any"
        )

"""`Task`: what a user writes to have a network pruned. It holds torch objects, but needs no torch to be defined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prunesearch.errors import TaskError, bulleted, did_you_mean

if TYPE_CHECKING:
    import torch
    from torch import nn

    from prunesearch.tasks.types import Augment, Evaluate, Loss, MakeOptimizer, Metric, Source, TrainEpoch

OPTIMIZERS = ("adam", "adamw", "nadam", "sgd", "rmsprop", "adagrad")
"""Optimisers by name; a callable `parameters -> Optimizer` makes any other."""
LR_SCHEDULES = ("constant", "cosine", "step", "one_cycle")
"""Learning-rate schedules by name; see `prunesearch.training.learning_rate`."""
LOSSES = ("cross_entropy", "nll", "bce_with_logits", "mse", "l1", "smooth_l1")
"""Losses by name: the functions of `torch.nn.functional`; a callable `(outputs, targets) -> scalar` is any other."""
METRICS: Mapping[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "top5": "maximize",
    "mse": "minimize",
    "mae": "minimize",
}
"""Metrics by name with their direction; a callable `(outputs, targets) -> number` over the whole split is any other."""
AUGMENTATIONS = ("crop", "shift", "flip")
"""Batched augmentations by name: a random crop after 4 or, for digits, 2 pixels of padding; a random horizontal flip."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network, its data and how it is trained.

    Args:
        model: makes a fresh network, `() -> torch.nn.Module`; its initial values follow torch's global generator.
        train: what it is trained on: a pair of tensors or arrays (inputs, targets), a `torch.utils.data.Dataset`, or a
            `() -> DataLoader`. Tensors are fastest: they stay on the device, uint8 as such. int32 and int64 inputs reach the
            network as they are (token numbers), unless `normalize` is given; all other numbers become float32.
        test: reported once, never used for selection. None: a fifth of `train`, or no test where `weights` are given.
        val: what selects. None: a stratified `val_fraction` of `train`. Must be given with `weights` or a loader.
        name: the task's name in stores and reports; the reference it was loaded from when empty.
        epochs: N, epochs of one training.
        batch_size: examples per step, for tensors and datasets.
        optimizer: one of `OPTIMIZERS`, or `parameters -> Optimizer`.
        lr: learning rate; the largest one where it changes.
        lr_schedule: one of `LR_SCHEDULES`.
        warmup_epochs: epochs over which the learning rate first rises linearly; 0 = none.
        lr_steps: under `step`, the fractions of the length after which the rate is multiplied by `lr_gamma`.
        lr_gamma: see `lr_steps`.
        weight_decay: passed to named optimisers.
        momentum: passed to `sgd` and `rmsprop`.
        loss: one of `LOSSES`, or `(outputs, targets) -> scalar`.
        metric: one of `METRICS`, or `(outputs, targets) -> number` over a whole split.
        direction: whether the metric is maximised; by default what is usual for a named metric, else maximised.
        weights: trained weights to start from: path of a .safetensors or state-dict file, or a state dict.
        augment: names of `AUGMENTATIONS` for image tensors, or `(inputs, generator) -> inputs` on a batch.
        normalize: (mean, std), each one number or one per channel of images (n, channels, h, w) or feature of rows (n, features),
            on inputs that lie in [0, 1] after uint8 is divided by 255. All splits must be pairs of tensors.
        val_fraction: the share of `train` that is held out when `val` is None.
        train_epoch: a training epoch of the user's own, `(model, batches, optimizer) -> mean loss`; advancing `batches`
            sets the learning rate and keeps the masks, so the loop needs no call of ours.
        evaluate: an evaluation of the user's own, `(model, batches) -> metric`, the model in eval mode.
        spare: groups that no policy may prune, as names or globs.
        example: one batch of inputs, for tracing; by default the first training examples.
        classes: number of classes; by default the width of the network's outputs; 0 = not a classification.
        channels_last: memory format of networks with 2-D convolutions; None = channels_last (1.3-1.5x faster on CPU).
        version: stands for data and code in the task's digest where these cannot be read, and for the globals that code names;
            change it when they change.

    Raises:
        TaskError: listing everything that is wrong.
    """

    model: Callable[[], nn.Module]
    train: Source
    test: Source | None = None
    val: Source | None = None
    name: str = ""
    epochs: int = 10
    batch_size: int = 128
    optimizer: str | MakeOptimizer = "adam"
    lr: float = 1e-3
    lr_schedule: str = "constant"
    warmup_epochs: float = 0.0
    lr_steps: tuple[float, ...] = (0.5, 0.75)
    lr_gamma: float = 0.1
    weight_decay: float = 0.0
    momentum: float = 0.9
    loss: str | Loss = "cross_entropy"
    metric: str | Metric = "accuracy"
    direction: Literal["maximize", "minimize"] | None = None
    weights: str | Path | Mapping[str, torch.Tensor] | None = None
    augment: tuple[str, ...] | Augment = ()
    normalize: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    val_fraction: float = 0.1
    train_epoch: TrainEpoch | None = None
    evaluate: Evaluate | None = None
    spare: tuple[str, ...] = ()
    example: torch.Tensor | None = None
    classes: int | None = None
    channels_last: bool | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        problems = [*_wrong_parts(self), *_wrong_words(self), *_wrong_numbers(self), *_wrong_data(self)]
        if problems:
            raise TaskError(f"Task: {bulleted(problems)}", "docs/tasks.md shows a task and says what its fields mean")

    @property
    def goal(self) -> Literal["maximize", "minimize"]:
        """The direction of the metric, `direction` where given."""
        if self.direction is not None:
            return self.direction
        return METRICS[self.metric] if isinstance(self.metric, str) else "maximize"

    @property
    def metric_name(self) -> str:
        """The metric's name, also of a callable."""
        return self.metric if isinstance(self.metric, str) else _name_of(self.metric)


def _wrong_parts(task: Task) -> list[str]:
    """Fields that must be callable and are not."""
    given: Any = task.model
    problems = [] if callable(given) and not _is_module(given) else [_model_problem(given)]
    for name in ("train_epoch", "evaluate"):
        value = getattr(task, name)
        if value is not None and not callable(value):
            problems.append(f"{name}: must be a function or None, got {_kind(value)}")
    return problems


def _wrong_words(task: Task) -> list[str]:
    """Names that stand in none of the tables above."""
    problems = []
    for name, known in (("optimizer", OPTIMIZERS), ("loss", LOSSES), ("metric", METRICS), ("lr_schedule", LR_SCHEDULES)):
        value = getattr(task, name)
        if isinstance(value, str) and value not in known:
            problems.append(f"{name}: '{value}' is unknown; {did_you_mean(value, known)}")
        elif not isinstance(value, str) and (name == "lr_schedule" or not callable(value)):
            problems.append(f"{name}: must be one of {', '.join(known)}, got {_kind(value)}")
    direction: Any = task.direction
    if direction not in (None, "maximize", "minimize"):
        problems.append(f"direction: must be 'maximize' or 'minimize', got {direction!r}")
    return problems + _wrong_augment(task.augment) + _wrong_normalize(task.normalize)


def _wrong_augment(augment: Any) -> list[str]:
    if callable(augment):
        return []
    if not isinstance(augment, tuple | list):
        return [f"augment: must be a function or a tuple of {', '.join(AUGMENTATIONS)}, got {_kind(augment)}"]
    return [f"augment: {w!r} is unknown; {did_you_mean(str(w), AUGMENTATIONS)}" for w in augment if w not in AUGMENTATIONS]


def _wrong_normalize(normalize: Any) -> list[str]:
    """Constants that are no pair of sequences of numbers, or deviations that nothing can be divided by."""
    if normalize is None:
        return []
    try:
        mean, std = ([float(number) for number in numbers] for numbers in normalize)
    except (TypeError, ValueError):
        return [f"normalize: must be ((mean, ...), (deviation, ...)), such as ((0.5,), (0.2,)), got {_kind(normalize)}"]
    if not mean or not std or not all(map(math.isfinite, mean)) or not all(0 < number < math.inf for number in std):
        return [f"normalize: needs finite means and deviations above 0, got {mean} and {std}"]
    return []


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "epochs": (0, math.inf),
    "batch_size": (1, math.inf),
    "lr": (1e-12, 1e3),
    "warmup_epochs": (0, math.inf),
    "lr_gamma": (0, 1),
    "weight_decay": (0, math.inf),
    "momentum": (0, 1),
    "val_fraction": (1e-4, 0.9),
}


def _wrong_numbers(task: Task) -> list[str]:
    """Numbers that are none, or out of their range."""
    problems = []
    for name, (low, high) in _BOUNDS.items():
        value = getattr(task, name)
        whole = name in ("epochs", "batch_size")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            problems.append(f"{name}: must be {'a whole number' if whole else 'a number'}, got {_kind(value)}")
        elif not low <= value <= high or value == math.inf:
            top = "" if high == math.inf else f" and at most {high:g}"
            problems.append(f"{name}: must be at least {low:g}{top}, got {value}")
    classes: Any = task.classes
    if classes is not None and (not isinstance(classes, int) or classes < 0):
        problems.append(f"classes: must be 0 or more, got {classes!r}")
    return problems


def _wrong_data(task: Task) -> list[str]:
    """Sources of no known kind, splits that must be given and are not, an example that is no batch."""
    problems = []
    for name in ("train", "val", "test"):
        source = getattr(task, name)
        if source is None and name != "train":
            continue
        if isinstance(source, tuple | list) and len(source) != 2:
            problems.append(f"{name}: a pair (inputs, targets) is needed, got {len(source)} parts")
        elif not isinstance(source, tuple | list) and not is_dataset(source) and not callable(source):
            problems.append(f"{name}: must be (inputs, targets), a Dataset or a () -> DataLoader, got {_kind(source)}")
        elif is_dataset(source) and not hasattr(source, "__len__"):
            problems.append(f"{name}: a Dataset needs a length (__len__), {type(source).__name__} has none")
    if task.val is None and task.weights is not None:
        problems.append("val: must be given with weights, because data they were trained on measures nothing")
    elif task.val is None and is_loader(task.train):
        problems.append("val: must be given where train is a () -> DataLoader, because a loader cannot be split")
    return problems + _wrong_example(task.example)


def _wrong_example(example: Any) -> list[str]:
    if example is None:
        return []
    import torch

    if not isinstance(example, torch.Tensor):
        return [f"example: must be a tensor, one batch of inputs, got {_kind(example)}; torch.as_tensor makes one"]
    fits = example.dim() > 0 and len(example) > 0
    return [] if fits else [f"example: must be a batch of at least one input, got shape {tuple(example.shape)}"]


def is_dataset(source: object) -> bool:
    """Whether `source` is a map-style `torch.utils.data.Dataset`."""
    from torch.utils.data import Dataset, IterableDataset

    return isinstance(source, Dataset) and not isinstance(source, IterableDataset)


def is_loader(source: object) -> bool:
    """Whether `source` is a `() -> DataLoader`."""
    return callable(source) and not is_dataset(source)


def _is_module(value: object) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _model_problem(value: object) -> str:
    if _is_module(value):
        return "model: must be a function that makes a network, got a network; write model=Net and weights=net.state_dict()"
    return f"model: must be a function that makes a network, got {_kind(value)}"


def _name_of(value: object) -> str:
    return str(getattr(value, "__name__", type(value).__name__))


def _kind(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.40}"

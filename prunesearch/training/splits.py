"""Training, validation and test data of a task: three splits that share no example."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from prunesearch.errors import TaskError
from prunesearch.tasks.cache import NOTHING_KEPT, ArrayCache
from prunesearch.tasks.task import Task, is_dataset
from prunesearch.tasks.told import told
from prunesearch.tasks.types import Source
from prunesearch.training.data import Batches, Handling, Resident, Streamed
from prunesearch.training.seeding import narrow

Pair = tuple[torch.Tensor, torch.Tensor]

TEST_FRACTION = 0.2
"""The share of the training data that becomes the test split of a task that gives none."""


@dataclass(frozen=True)
class Splits:
    """The three splits; `test` is None where weights are given and no test data."""

    train: Batches
    val: Batches
    test: Batches | None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Examples of train, val and test."""
        return self.train.size, self.val.size, self.test.size if self.test else 0


def raw_splits(task: Task, seed: int, cache: ArrayCache = NOTHING_KEPT) -> dict[str, Source]:
    """The task's sources under `train`, `val` and, where there is one, `test`: what is absent is split off `train`.

    Args:
        task: whose `train`, `val`, `test` are read.
        seed: of the random, stratified split.
        cache: where it is kept who went where.

    Raises:
        TaskError: inputs and targets do not fit together, or there are too few examples to split.
    """
    given = {name: _plain(getattr(task, name), name) for name in ("train", "val", "test") if getattr(task, name) is not None}
    if "test" not in given and task.weights is None and (is_dataset(given["train"]) or isinstance(given["train"], tuple)):
        given["train"], given["test"] = _divided(given["train"], TEST_FRACTION, seed, cache)
    if "val" not in given:
        given["train"], given["val"] = _divided(given["train"], task.val_fraction, seed, cache)
    return given


def make_splits(sources: dict[str, Source], how: Handling) -> Splits:
    """Batches of all splits on the device.

    Args:
        sources: from `raw_splits`.
        how: of the training split; the others are not augmented.

    Raises:
        TaskError: augmentation or constants do not fit the inputs, or a loader has no length.
    """
    plain = replace(how, augment=())
    made = {name: _batches(source, how if name == "train" else plain, name) for name, source in sources.items()}
    streamed = [name for name, batches in made.items() if not isinstance(batches, Resident)]
    if how.augment and "train" in streamed:
        raise TaskError("augment: works on tensors; a Dataset or loader augments in its own transforms")
    if how.normalize is not None and streamed:
        hint = f"scale {', '.join(made)} alike in transforms of their own, without normalize"
        raise TaskError("normalize: works on tensors; a Dataset or loader scales its inputs itself", hint)
    return Splits(made["train"], made["val"], made.get("test"))


def _batches(source: Source, how: Handling, where: str) -> Batches:
    if isinstance(source, tuple):
        _check_images(source[0], how, where)
        return Resident(source[0], source[1], how)
    return Streamed(_loader(source, how, where == "train"), how, where)


def _check_images(x: torch.Tensor, how: Handling, where: str) -> None:
    """Raise where crops, flips or per-channel constants are asked for and the inputs have no such channels."""
    if how.augment and not callable(how.augment) and x.dim() != 4:
        raise TaskError(f"augment: {', '.join(how.augment)} need images (n, channels, h, w); {where} is {tuple(x.shape)}")
    channels = x.shape[1] if x.dim() in (2, 4) else 1
    if how.normalize is not None and any(len(v) not in (1, channels) for v in how.normalize):
        fits = "one number" if channels == 1 else f"one number or {channels}"
        hint = "images (n, channels, h, w) may have one per channel, rows (n, features) one per feature"
        raise TaskError(f"normalize: takes {fits}, for {where} is {tuple(x.shape)}", hint)


def _loader(source: Any, how: Handling, shuffle: bool) -> Callable[[], DataLoader[Any]]:
    """A factory of loaders: the user's own, or one over the user's data set, in this process."""
    if not is_dataset(source):
        made: Callable[[], DataLoader[Any]] = source
        return made
    lonely = shuffle and len(source) % how.batch_size == 1 and len(source) > 1
    return partial(DataLoader, source, batch_size=how.batch_size, shuffle=shuffle, drop_last=lonely)


def _plain(source: Any, where: str) -> Source:
    """Pairs of arrays as tensors; a TensorDataset as its tensors; the rest as it is."""
    if isinstance(source, TensorDataset) and len(source.tensors) == 2:
        source = source.tensors
    if not isinstance(source, tuple | list):
        rest: Source = source
        return rest
    x, y = (_tensor(part, f"{where}: {what}") for part, what in zip(source, ("inputs", "targets"), strict=True))
    if x.dim() < 1 or y.dim() < 1 or len(x) != len(y) or len(x) == 0:
        raise TaskError(f"{where}: inputs {tuple(x.shape)} and targets {tuple(y.shape)} must have as many rows, at least one")
    return x, y


def _tensor(values: Any, what: str) -> torch.Tensor:
    hint = "give tensors or arrays of numbers; a DataFrame gives one with .to_numpy('float32')"
    with told(f"{what} cannot be made a tensor", hint):
        return torch.as_tensor(values)


def _divided(source: Source, fraction: float, seed: int, cache: ArrayCache) -> tuple[Source, Source]:
    """A source in two: the rest, and a stratified `fraction` of it, in the order of the source."""
    if isinstance(source, tuple):
        x, y = source
        rest, part = _indices(y, len(y), fraction, seed, cache)
        return (x[rest], y[rest]), (x[part], y[part])
    data: Any = source
    rest, part = _indices(getattr(data, "targets", None), len(data), fraction, seed, cache)
    return Subset(data, rest.tolist()), Subset(data, part.tolist())


def _indices(targets: Any, count: int, fraction: float, seed: int, cache: ArrayCache) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the rest and of the part, each ascending.

    Raises:
        TaskError: one of the two would be empty.
    """
    wanted = max(1, math.ceil(count * fraction - 1e-9))
    if count - wanted < 1:
        raise TaskError(f"{count} examples are too few to hold {fraction:g} of them out", "give val= and test= yourself")
    labels = _labels(targets, count, wanted)
    said = hashlib.sha256(b"" if labels is None else np.ascontiguousarray(labels).data).hexdigest()
    name = f"split {said} {count} {wanted} {seed}"
    found = cache.kept(name, lambda: f"scikit-learn {version('scikit-learn')}", lambda: _drawn(count, wanted, seed, labels))
    return found["rest"], found["part"]


def _drawn(count: int, wanted: int, seed: int, labels: np.ndarray | None) -> dict[str, torch.Tensor]:
    from sklearn.model_selection import train_test_split  # most of a second of imports that later processes do without

    rest, part = train_test_split(np.arange(count), test_size=wanted, random_state=narrow(seed), stratify=labels)
    return {"rest": torch.from_numpy(np.sort(rest)), "part": torch.from_numpy(np.sort(part))}


def _labels(targets: Any, count: int, wanted: int) -> np.ndarray | None:
    """Class numbers to stratify by, (count,), or None where there are none or a class is too small to be divided."""
    try:
        labels = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError, LookupError):  # None, words, paths
        return None
    if labels.shape != (count,) or labels.is_floating_point():
        return None
    sizes = labels.unique(return_counts=True)[1]
    return labels.cpu().numpy() if int(sizes.min()) >= 2 and len(sizes) <= min(wanted, count - wanted) else None

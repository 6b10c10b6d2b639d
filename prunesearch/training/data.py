"""Data on the device: tensors that are sliced by a seeded permutation, or users' data sets and loaders behind the same face."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader

from prunesearch.errors import TaskError
from prunesearch.tasks.told import told
from prunesearch.tasks.types import Augment, Batch
from prunesearch.training.augment import Crops, margin, pad, unpadded
from prunesearch.training.seeding import generator, seed_everything

EVALUATED = {"cpu": 2**18, "cuda": 2**22}
"""Input numbers per batch of an evaluation. On the CPU 1 MB in float32, so that activations stay in the cache: with four
times as much LeNet-5 takes 1.28 times as long per image, ResNet-20 1.4 times. A GPU is kept busy by large batches."""


class Batches(Protocol):
    """One split as batches (inputs, targets) on the device."""

    @property
    def size(self) -> int:
        """Examples."""
        ...

    @property
    def steps(self) -> int:
        """Batches of one training epoch."""
        ...

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of a training epoch, augmented; equal for equal (seed, epoch)."""
        ...

    def ordered(self) -> Iterator[Batch]:
        """All examples once, in order, not augmented."""
        ...


@dataclass(frozen=True)
class Handling:
    """How inputs become what the network takes.

    Args:
        batch_size: examples per training step.
        device: where they go.
        channels_last: memory format of image batches.
        normalize: (mean, std) per channel of inputs in [0, 1], or None.
        augment: names of `AUGMENTATIONS`, or a function of a batch.
    """

    batch_size: int
    device: torch.device
    channels_last: bool = False
    normalize: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    augment: tuple[str, ...] | Augment = ()


class Resident:
    """Tensors that stay on the device; images as (n, h, w, c), so that channels_last costs nothing.

    Slicing resident tensors makes training epochs 1.17x (LeNet-300-100) to 1.7x shorter than a DataLoader's.

    Args:
        x: inputs (n, ...); uint8 is kept and divided by 255 per batch, int32 and int64 are kept and given as they are unless
            they are normalised, all others become float32.
        y: targets (n, ...).
        how: what is done with a batch.
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor, how: Handling) -> None:
        self._how = how
        self._names = () if callable(how.augment) else how.augment
        self._images = x.dim() == 4
        x = x if x.dtype in (torch.uint8, torch.int32, torch.int64) else x.to(torch.float32)
        x, p = x.permute(0, 2, 3, 1) if self._images else x, margin(self._names)
        self._size = (x.shape[1], x.shape[2]) if self._images else (0, 0)
        self._padded = pad(x, p).to(how.device).contiguous()
        self._x = unpadded(self._padded, p)  # a view: images are held once
        self._y = y.to(how.device).contiguous()
        self._scale, self._shift = self._constants()

    @property
    def size(self) -> int:
        """Examples."""
        return len(self._y)

    @property
    def targets(self) -> torch.Tensor:
        """All targets, in order."""
        return self._y

    @property
    def steps(self) -> int:
        """Batches of one training epoch: a last one of a single example is left out, for batch norm cannot take it."""
        full, rest = divmod(self.size, self._how.batch_size)
        return max(1, full + (rest > 1))

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of a training epoch, augmented; equal for equal (seed, epoch)."""
        order = torch.randperm(self.size, generator=generator(seed, "order", epoch)).to(self._how.device)
        take, finish = self._taker(seed, epoch), self._finisher(seed, epoch)
        for i, index in enumerate(islice(order.split(self._how.batch_size), self.steps)):
            yield finish(take(index, i * self._how.batch_size)), self._y.index_select(0, index)

    def ordered(self) -> Iterator[Batch]:
        """All examples once, in order, not augmented; copies, which may be changed."""
        numbers = max(1, math.prod(self._x.shape[1:]))
        most = EVALUATED.get(self._how.device.type, EVALUATED["cpu"])
        count = max(self._how.batch_size, min(1024, most // numbers))
        for first in range(0, self.size, count):
            rows = slice(first, first + count)
            yield self._apart(self._prepared(self._x[rows])), self._y[rows].clone()

    def _taker(self, seed: int, epoch: int) -> Callable[[torch.Tensor, int], torch.Tensor]:
        """How the raw inputs of a batch are fetched, from their indices and the place of the first in the epoch."""
        if not self._names:
            return lambda index, _first: self._x.index_select(0, index)
        crops = Crops(self.size, self._size, self._names, seed, epoch, self._how.device)
        return lambda index, first: crops.take(self._padded, index, first)

    def _finisher(self, seed: int, epoch: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """How raw inputs become the network's."""
        augment = self._how.augment
        if not callable(augment):
            return self._prepared
        drawn = generator(seed, "augment", epoch, device=self._how.device)
        return lambda x: augment(self._prepared(x), drawn)

    def _prepared(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled inputs in the network's memory format."""
        if x.dtype == torch.uint8 or self._how.normalize is not None:
            x = x.to(torch.float32, copy=True).mul_(self._scale).add_(self._shift)
        if not self._images:
            return x
        x = x.permute(0, 3, 1, 2)
        return x if self._how.channels_last else x.contiguous()

    def _apart(self, x: torch.Tensor) -> torch.Tensor:
        """A batch in memory of its own, so that a forward pass that works in place changes no data."""
        shared = x.untyped_storage().data_ptr() == self._padded.untyped_storage().data_ptr()
        return x.clone() if shared else x

    def _constants(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and summand of the last dimension: (x / 255 - mean) / std for uint8."""
        mean, std = (torch.tensor(v) for v in (self._how.normalize or ((0.0,), (1.0,))))
        unit = 255.0 if self._x.dtype == torch.uint8 else 1.0
        return (1 / (unit * std)).to(self._how.device), (-mean / std).to(self._how.device)


class Streamed:
    """A user's data set or loader: batches as it gives them, moved to the device.

    Args:
        loader: makes the loader of an epoch; called before every epoch, its order follows torch's global generator,
            which is seeded per epoch.
        how: device and memory format; scaling and augmentation are the loader's own.
        where: the split's name, for messages.

    Raises:
        TaskError: the loader cannot be made or has no length.
    """

    def __init__(self, loader: Callable[[], DataLoader[Any]], how: Handling, where: str) -> None:
        self._loader, self._how, self._where = loader, how, where
        with told(f"{where}: making the loader fails"):
            first = loader()
        try:
            self._steps = len(first)
            self._size = len(first.dataset) if hasattr(first.dataset, "__len__") else self._steps * (first.batch_size or 1)
        except (TypeError, AttributeError) as problem:
            raise TaskError(
                f"{where}: the loader has no length: {problem}", "give a DataLoader over a map-style Dataset"
            ) from problem

    @property
    def size(self) -> int:
        """Examples."""
        return self._size

    @property
    def steps(self) -> int:
        """Batches of one training epoch."""
        return self._steps

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of a training epoch, as the loader shuffles them."""
        seed_everything(seed, "order", epoch)
        yield from islice(self.ordered(), self._steps)

    def ordered(self) -> Iterator[Batch]:
        """One pass over the loader."""
        for batch in self._loader():
            x, y = self._pair(batch)
            x = x.to(self._how.device, non_blocking=True)
            if self._how.channels_last and x.dim() == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            yield x, y.to(self._how.device, non_blocking=True)

    def _pair(self, batch: Any) -> Batch:
        if isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, torch.Tensor) for part in batch):
            return batch[0], batch[1]
        kind = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise TaskError(f"{self._where}: a batch must be a pair of tensors (inputs, targets), got {kind}")


def first_batch(batches: Batches, where: str) -> Batch:
    """The first batch in order.

    Args:
        batches: a split.
        where: its name, for messages.

    Raises:
        TaskError: reading it fails, or it gives none.
    """
    with told(f"{where}: reading it fails"):
        found = next(batches.ordered(), None)
    if found is None:
        raise TaskError(f"{where}: gives no batch", "with drop_last=True a loader of fewer examples than batch_size gives none")
    return found

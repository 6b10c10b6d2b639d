"""MNIST, Fashion-MNIST and CIFAR-10 through torchvision's own data set classes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from prunesearch.errors import MissingDataError, first_line
from prunesearch.tasks.cache import NOTHING_KEPT, ArrayCache, stamp_of
from prunesearch.training.files import Tensors

Pair = tuple[torch.Tensor, torch.Tensor]

_NO = frozenset({"0", "no", "false", "off"})


@dataclass(frozen=True)
class Source:
    """How torchvision knows a data set, and mean and deviation of its training pixels in [0, 1], per channel."""

    made: str
    folder: str
    normalize: tuple[tuple[float, ...], tuple[float, ...]]


IMAGE_SETS: Mapping[str, Source] = {
    "mnist": Source("MNIST", "MNIST/raw", ((0.1307,), (0.3081,))),
    "fashion": Source("FashionMNIST", "FashionMNIST/raw", ((0.2860,), (0.3530,))),
    "cifar10": Source("CIFAR10", "cifar-10-batches-py", ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))),
}


def data_root(data_dir: str | None) -> Path:
    """Where data sets lie: what is given, else `PRUNESEARCH_DATA`, else `data` in the current folder."""
    return Path(data_dir or os.environ.get("PRUNESEARCH_DATA") or "data").expanduser()


def image_set(
    name: str, data_dir: str | None = None, download: bool | None = None, cache: ArrayCache = NOTHING_KEPT
) -> tuple[Pair, Pair]:
    """Training and test part of an image data set.

    Args:
        name: mnist, fashion or cifar10.
        data_dir: torchvision root; see `data_root`.
        download: whether it may be fetched when missing; default yes, unless `PRUNESEARCH_DOWNLOAD` is 0. Archives
            that lie there already are unpacked without a network.
        cache: where decoded arrays are kept; their source has to stay where it is.

    Returns:
        ((x, y), (x, y)): uint8 (n, channels, height, width) and int64 (n,).

    Raises:
        MissingDataError: it is not there and could not be fetched.
    """
    root = data_root(data_dir)
    folder = root / IMAGE_SETS[name].folder
    made = cache.kept(f"{name} in {root.resolve()}", lambda: stamp_of(folder.glob("*")), lambda: _decoded(name, root, download))
    return _pair(made["x_train"], made["y_train"]), _pair(made["x_test"], made["y_test"])


def _decoded(name: str, root: Path, download: bool | None) -> Tensors:
    """Images as torchvision has them, (n, height, width) or (n, height, width, channels), and targets."""
    source = IMAGE_SETS[name]
    allowed = os.environ.get("PRUNESEARCH_DOWNLOAD", "1").lower() not in _NO if download is None else download
    try:
        train, test = (_opened(source, root, part, allowed) for part in (True, False))
    except (RuntimeError, ValueError, AssertionError, EOFError, OSError) as problem:
        tried = "fetching it failed" if allowed else "downloads are off"
        hint = f"put the original files into {root / source.folder}, or name another folder with --data-dir or PRUNESEARCH_DATA"
        raise MissingDataError(
            f"data set '{name}' is not in {root}, and {tried}: {first_line(problem).rstrip('.')}", hint
        ) from problem
    images = {"x_train": torch.as_tensor(train.data), "x_test": torch.as_tensor(test.data)}
    return images | {"y_train": torch.as_tensor(train.targets), "y_test": torch.as_tensor(test.targets)}


def _opened(source: Source, root: Path, train: bool, allowed: bool) -> Any:
    """The data set as it lies there, else unpacked or fetched."""
    from torchvision import datasets  # a second of imports that a process with decoded arrays does without

    made = getattr(datasets, source.made)
    with _alone(root):
        try:
            return made(root, train=train, download=False)
        except RuntimeError:
            if not (allowed or _archives_whole(made, source, root)):
                raise
            return made(root, train=train, download=True)


def _archives_whole(made: Any, source: Source, root: Path) -> bool:
    """Whether torchvision's `download` would only unpack: all its archives lie there, with the right checksums."""
    from torchvision.datasets.utils import check_integrity

    if source.made == "CIFAR10":
        archives = [(root / made.filename, made.tgz_md5)]
    else:
        archives = [(root / source.folder / filename, md5) for filename, md5 in made.resources]
    return all(check_integrity(path, md5) for path, md5 in archives)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One process at a time, so that no worker reads files that another has unpacked by half."""
    mark = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"prunesearch-{os.getuid()}-{mark}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pair(images: torch.Tensor, targets: torch.Tensor) -> Pair:
    return images.permute(0, 3, 1, 2) if images.dim() == 4 else images.unsqueeze(1), targets.to(torch.int64)

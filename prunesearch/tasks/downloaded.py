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

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from prunesearch.errors import MissingDataError

Pair = tuple[torch.Tensor, torch.Tensor]

_NO = frozenset({"0", "no", "false", "off"})


@dataclass(frozen=True)
class Source:
    """How torchvision knows a data set, and mean and deviation of its training pixels in [0, 1], per channel."""

    made: type[datasets.MNIST | datasets.CIFAR10]
    folder: str
    normalize: tuple[tuple[float, ...], tuple[float, ...]]


IMAGE_SETS: Mapping[str, Source] = {
    "mnist": Source(datasets.MNIST, "MNIST/raw", ((0.1307,), (0.3081,))),
    "fashion": Source(datasets.FashionMNIST, "FashionMNIST/raw", ((0.2860,), (0.3530,))),
    "cifar10": Source(datasets.CIFAR10, "cifar-10-batches-py", ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))),
}


def data_root(data_dir: str | None) -> Path:
    """Where data sets lie: what is given, else `PRUNESEARCH_DATA`, else `data` in the current folder."""
    return Path(data_dir or os.environ.get("PRUNESEARCH_DATA") or "data").expanduser()


def image_set(name: str, data_dir: str | None = None, download: bool | None = None) -> tuple[Pair, Pair]:
    """Training and test part of an image data set.

    Args:
        name: mnist, fashion or cifar10.
        data_dir: torchvision root; see `data_root`.
        download: whether it may be fetched when missing; default yes, unless `PRUNESEARCH_DOWNLOAD` is 0. Archives
            that lie there already are unpacked without a network.

    Returns:
        ((x, y), (x, y)): uint8 (n, channels, height, width) and int64 (n,).

    Raises:
        MissingDataError: it is not there and could not be fetched.
    """
    source, root = IMAGE_SETS[name], data_root(data_dir)
    allowed = os.environ.get("PRUNESEARCH_DOWNLOAD", "1").lower() not in _NO if download is None else download
    try:
        return _pair(_opened(source, root, True, allowed)), _pair(_opened(source, root, False, allowed))
    except (RuntimeError, ValueError, AssertionError, EOFError, OSError) as problem:
        tried = "fetching it failed" if allowed else "downloads are off"
        hint = f"put the original files into {root / source.folder}, or name another folder with --data-dir or PRUNESEARCH_DATA"
        raise MissingDataError(f"data set '{name}' is not in {root}, and {tried}: {_first_line(problem)}", hint) from problem


def _opened(source: Source, root: Path, train: bool, allowed: bool) -> Any:
    """The data set as it lies there, else unpacked or fetched."""
    with _alone(root):
        try:
            return source.made(root, train=train, download=False)
        except RuntimeError:
            if not (allowed or _archives_whole(source, root)):
                raise
            return source.made(root, train=train, download=True)


def _archives_whole(source: Source, root: Path) -> bool:
    """Whether torchvision's `download` would only unpack: all its archives lie there, with the right checksums."""
    if source.made is datasets.CIFAR10:
        archives = [(root / datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5)]
    else:
        archives = [(root / source.folder / filename, md5) for filename, md5 in getattr(source.made, "resources", ())]
    return all(check_integrity(path, md5) for path, md5 in archives)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One process at a time, so that no worker reads files that another has unpacked by half."""
    mark = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"prunesearch-{os.getuid()}-{mark}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pair(data: Any) -> Pair:
    x = torch.from_numpy(data.data).permute(0, 3, 1, 2) if isinstance(data.data, np.ndarray) else data.data.unsqueeze(1)
    return x, torch.as_tensor(data.targets, dtype=torch.int64)


def _first_line(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).splitlines()[0].rstrip(".")

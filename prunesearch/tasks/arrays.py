"""Tasks from arrays of one's own: an .npz file with `x_train`, `y_train` and, where there are, `x_val` ... `y_test`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from prunesearch.errors import TaskError, first_line
from prunesearch.tasks.networks import network
from prunesearch.tasks.task import Task

Pair = tuple[torch.Tensor, torch.Tensor]


def array_task(path: str, what: str) -> Task:
    """A classification task from an .npz file.

    Inputs: (n, features), or images (n, height, width), (n, height, width, 1 or 3), (n, channels, height, width); uint8 is
    divided by 255, other numbers are taken as they are. Targets: class numbers (n,), from 0. `x` and `y` stand for `x_train`
    and `y_train`. Parts that are absent are split off the training part.

    Args:
        path: the file.
        what: a network's name; see `prunesearch.tasks.networks`.

    Raises:
        TaskError: the file cannot be read, or its arrays are not as above.
    """
    arrays = _read(path)
    train = _pair(path, arrays, "train")
    if train is None:
        raise TaskError(f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}", "arrays called x_train and y_train are needed")
    classes = int(train[1].max()) + 1
    model = network(what, train[0].shape[1:], classes)
    return Task(model=model, train=train, val=_pair(path, arrays, "val"), test=_pair(path, arrays, "test"), classes=classes)


def _read(path: str) -> dict[str, np.ndarray]:
    try:
        with Path(path).expanduser().open("rb") as file:  # numpy leaves a damaged archive open
            held = np.load(file, allow_pickle=False)
            if isinstance(held, np.ndarray):
                raise ValueError("holds one array without a name")
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        reason = getattr(problem, "strerror", None) or first_line(problem)
        raise TaskError(f"{path}: {reason}", "numpy.savez(path, x_train=..., y_train=...) writes what is needed") from problem


def _pair(path: str, arrays: dict[str, np.ndarray], part: str) -> Pair | None:
    """Inputs and targets of one part, or None where the file has none."""
    short = {"train": ""}.get(part, f"_{part}")
    x = arrays.get(f"x_{part}", arrays.get(f"x{short}"))
    y = arrays.get(f"y_{part}", arrays.get(f"y{short}"))
    if x is None and y is None:
        return None
    if x is None or y is None or x.shape[:1] != y.shape[:1] or x.shape[:1] in ((), (0,)):
        raise TaskError(f"{path}: x_{part} and y_{part} must both be there, with as many rows, at least one")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise TaskError(f"{path}: y_{part} must be class numbers from 0, shape (n,), got {y.dtype} {y.shape}")
    return _inputs(path, part, x), torch.from_numpy(y.astype(np.int64))


def _inputs(path: str, part: str, x: np.ndarray) -> torch.Tensor:
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4):
        raise TaskError(f"{path}: x_{part} must be numbers of shape (n, features) or images, got {x.dtype} {x.shape}")
    found = torch.from_numpy(x if x.dtype == np.uint8 else x.astype(np.float32))
    if x.ndim == 3:
        return found.unsqueeze(1)
    channels_are_last = x.ndim == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3)
    return found.permute(0, 3, 1, 2) if channels_are_last else found

"""References: the words by which a task is named in study files and on the command line.

    digits-mlp                          a built-in task; `builtin_tasks()` lists them
    cifar10-torchvision.resnet18        a built-in data set with a classification network of torchvision
    my_task.py:make_task                a function of a Python file that returns a `Task`
    my_package.tasks:make_task          a function of an importable module
    arrays.npz:mlp-300-100              arrays of one's own with a network
    photos/:torchvision.resnet18@96     a folder of class folders (ImageFolder) with a network, at 96 x 96 pixels

Networks for arrays and folders: `mlp` (hidden layers of 300 and 100), `mlp-64-32` (hidden layers of 64 and 32), `lenet5`,
`cnn84`, `resnet20` (any 6 n + 2), `vgg16`, `torchvision.NAME`. Without a network, arrays get `mlp` and folders
`torchvision.resnet18`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from prunesearch.errors import TaskError, did_you_mean
from prunesearch.tasks.catalogue import DATA, builtin_tasks
from prunesearch.tasks.task import Task

Kind = Literal["builtin", "python", "arrays", "folder"]
FOREIGN = "torchvision."


@dataclass(frozen=True)
class Reference:
    """A reference taken apart.

    Args:
        kind: who makes the task.
        source: data set, file, module or folder.
        what: name of the function or of the network.
        pixels: side of the images of a folder, None elsewhere.
    """

    kind: Kind
    source: str
    what: str
    pixels: int | None = None


def parse_reference(ref: str) -> Reference:
    """What a reference means; see the table at the top of this file.

    Raises:
        TaskError: it means nothing, with the closest built-in name.
    """
    source, _, what = ref.partition(":")
    if ref in builtin_tasks():
        data, _, network = ref.partition("-")
        return Reference("builtin", data, network)
    if source.endswith(".npz"):
        return Reference("arrays", source, what or "mlp")
    if source.endswith(".py"):
        return Reference("python", source, _function(ref, what))
    if source.endswith(("/", os.sep)) or (source and _is_plain_folder(Path(source))):
        return _folder(ref, source, what)
    if what:
        return Reference("python", source, _function(ref, what))
    data, _, network = ref.partition("-")
    if data in DATA and network.startswith(FOREIGN):
        return Reference("builtin", data, network)
    raise TaskError(f"task '{ref}' is unknown", f"{did_you_mean(ref, builtin_tasks())} A file of your own: my_task.py:make_task")


def load_task(
    ref: str,
    *,
    data_dir: str | None = None,
    seed: int = 0,
    download: bool | None = None,
    cache: str | Path | None = None,
    loader_workers: int = 0,
) -> Task:
    """The task that a reference names, with its data in memory.

    Args:
        ref: see the table at the top of this file.
        data_dir: where data sets lie; default `PRUNESEARCH_DATA`, else `data` in the current folder.
        seed: of the test split of data sets that come without one.
        download: whether a missing data set may be fetched; default yes, unless `PRUNESEARCH_DOWNLOAD` is 0.
        cache: folder in which decoded arrays of built-in data sets are kept for all processes; None: nowhere.
        loader_workers: processes that a user's loader may start: cores that nobody else uses.

    Raises:
        TaskError: the reference, the user's file or the data is not what is needed.
        MissingDataError: the data set is not there and could not be fetched.
    """
    found = parse_reference(ref)
    task = _made(found, data_dir, seed, download, Path(cache) if cache else None, loader_workers)
    return task if task.name else replace(task, name=ref)


def _made(
    found: Reference, data_dir: str | None, seed: int, download: bool | None, cache: Path | None, loader_workers: int
) -> Task:
    match found.kind:
        case "builtin":
            from prunesearch.tasks.builtin import builtin_task
            from prunesearch.tasks.cache import ArrayCache

            kept = ArrayCache(cache)
            return builtin_task(found.source, found.what, data_dir=data_dir, seed=seed, download=download, cache=kept)
        case "arrays":
            from prunesearch.tasks.arrays import array_task

            return array_task(found.source, found.what)
        case "folder":
            from prunesearch.tasks.folders import folder_task

            return folder_task(found.source, found.what, found.pixels or 224)
        case "python":
            from prunesearch.tasks.userfile import user_task

            return user_task(found.source, found.what, data_dir=data_dir, seed=seed, loader_workers=loader_workers)


def _is_plain_folder(path: Path) -> bool:
    """Whether a folder is there, and is not a Python package."""
    return path.is_dir() and not (path / "__init__.py").is_file()


def _function(ref: str, name: str) -> str:
    if not name.isidentifier():
        raise TaskError(f"task '{ref}' names no function", f"write {ref.partition(':')[0]}:make_task")
    return name


def _folder(ref: str, source: str, what: str) -> Reference:
    network, _, pixels = what.partition("@")
    if pixels and not (pixels.isdigit() and int(pixels) > 0):
        raise TaskError(f"task '{ref}': '@{pixels}' is not a number of pixels", "write photos/:torchvision.resnet18@96")
    return Reference("folder", source, network or f"{FOREIGN}resnet18", int(pixels) if pixels else None)

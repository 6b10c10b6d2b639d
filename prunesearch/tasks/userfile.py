"""Tasks from a user's own Python: a file or an importable module with a function that returns a `Task`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from prunesearch.errors import TaskError, did_you_mean
from prunesearch.tasks.sources import homes
from prunesearch.tasks.task import Task
from prunesearch.tasks.told import told
from prunesearch.training.seeding import seed_everything

_PREFIX = "prunesearch_task_"
"""Begins the names under which users' files stand among the modules."""


def user_task(source: str, function: str, *, data_dir: str | None, seed: int, loader_workers: int = 0) -> Task:
    """The task that a user's function makes. What it draws is the same in every process: the generators are seeded.

    File and modules beside it are executed as they are now, whatever earlier tasks of the process imported. Their folder stays
    importable, for what the task imports while it runs.

    Args:
        source: path of a .py file, or name of an importable module.
        function: name of the function.
        data_dir: what the function gets as `data_dir`, if it has such a parameter.
        seed: likewise, and that of the global generators.
        loader_workers: likewise; processes that a loader may start.

    Raises:
        TaskError: the file, the function or what it returns is not right; the user's own error is its cause.
        EnvironmentFailure: memory ran out.
    """
    seed_everything(seed, "task")
    module = _from_file(Path(source).expanduser()) if source.endswith(".py") else _imported(source)
    offered = {"data_dir": data_dir, "seed": seed, "loader_workers": loader_workers}
    made = _called(_function(module, function, source), f"{source}:{function}", offered)
    if not isinstance(made, Task):
        raise TaskError(f"{source}:{function} returned {type(made).__name__}", "it must return a prunesearch.Task")
    return made


def _from_file(path: Path) -> ModuleType:
    """The module of a file, executed anew."""
    if not path.is_file():
        raise TaskError(f"{path}: no such file", "'prunesearch init' writes a task file to start from")
    name = f"{_PREFIX}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    _enter(path.parent)
    sys.modules[name] = module  # dataclasses and torch.save look modules up by name
    with _told(str(path)):
        spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    _enter(Path.cwd())
    with _told(name):
        return importlib.import_module(name)


class _Entry(str):
    """An entry of `sys.path`: a folder that a task was loaded from. Other processes are given a plain string.

    Attributes:
        before: top-level modules of the folder that the program had imported itself, and that are left alone.
    """

    __slots__ = ("before",)
    before: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> _Entry:
        """The entry of a folder that no task was loaded from so far."""
        made = cls(folder.resolve())
        made.before = frozenset(made.imported())
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def imported(self) -> set[str]:
        """Top-level modules that were found in the folder; users' task files themselves are none."""
        tops = [(name, m) for name, m in list(sys.modules.items()) if "." not in name and not name.startswith(_PREFIX)]
        return {name for name, module in tops if Path(self) in homes(getattr(module, "__spec__", None))}


def _enter(folder: Path) -> None:
    """Make a folder the first that imports look into, for as long as the process lives.

    Forgotten are modules that earlier tasks imported from it, for they may have changed, and those of other tasks' folders
    that have a namesake in it. So of two such tasks, the one loaded last is right where it imports while it runs.
    """
    importlib.invalidate_caches()
    known = [entry for entry in sys.path if isinstance(entry, _Entry)]
    here = next((entry for entry in known if Path(entry) == folder.resolve()), None) or _Entry.of(folder)
    for entry in known:
        names = entry.imported() - entry.before
        _forget(names if entry is here else {name for name in names if PathFinder.find_spec(name, [here])})
    sys.path[:] = [here, *(entry for entry in sys.path if entry is not here)]


def _forget(names: set[str]) -> None:
    """Take top-level modules, and all that lies in them, from those that are imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]


@contextmanager
def _told(where: str) -> Iterator[None]:
    """As `told`; an error of syntax with its line."""
    with told(where):
        try:
            yield
        except SyntaxError as problem:
            hint = "python -m py_compile shows the place"
            raise TaskError(f"{where}: line {problem.lineno}: {problem.msg}", hint) from problem


def _function(module: ModuleType, name: str, source: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        own = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise TaskError(f"{source}: has no function '{name}'", did_you_mean(name, own))
    made: Callable[..., Any] = found
    return made


def _called(function: Callable[..., Any], where: str, offered: dict[str, Any]) -> Any:
    with _told(where):
        wanted = inspect.signature(function).parameters
        return function(**{k: v for k, v in offered.items() if k in wanted})

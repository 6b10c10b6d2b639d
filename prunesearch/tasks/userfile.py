"""Tasks from a user's own Python: a file or an importable module with a function that returns a `Task`."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from modulefinder import ModuleFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import prunesearch
from prunesearch.errors import PrunesearchError, TaskError, did_you_mean
from prunesearch.tasks.task import Task
from prunesearch.training.seeding import seed_everything


def user_task(source: str, function: str, *, data_dir: str | None, seed: int, loader_workers: int = 0) -> Task:
    """The task that a user's function makes. What it draws is the same in every process: the generators are seeded.

    Args:
        source: path of a .py file, or name of an importable module.
        function: name of the function.
        data_dir: what the function gets as `data_dir`, if it has such a parameter.
        seed: likewise, and that of the global generators.
        loader_workers: likewise; processes that a loader may start.

    Raises:
        TaskError: the file, the function or what it returns is not right; the user's own error is its cause.
    """
    seed_everything(seed, "task")
    module = _from_file(Path(source).expanduser()) if source.endswith(".py") else _imported(source)
    offered = {"data_dir": data_dir, "seed": seed, "loader_workers": loader_workers}
    made = _called(_function(module, function, source), f"{source}:{function}", offered)
    if not isinstance(made, Task):
        raise TaskError(f"{source}:{function} returned {type(made).__name__}", "it must return a prunesearch.Task")
    return made


def source_digest(source: str) -> str:
    """Hash of the user's file and of everything it imports that no package manager installed.

    Args:
        source: path of a .py file, or name of an importable module.
    """
    path = Path(source).expanduser() if source.endswith(".py") else _module_path(source)
    if path is None:
        return ""
    finder = ModuleFinder(path=[str(path.parent), *_own_paths()], excludes=["prunesearch"])
    finder.run_script(str(path))
    modules: list[Any] = list(finder.modules.values())
    files = {Path(m.__file__) for m in modules if m.__file__}
    hashed = hashlib.sha256()
    for file in sorted(files, key=lambda p: p.name):
        hashed.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest()


@functools.cache
def is_installed(path: str) -> bool:
    """Whether a file or folder belongs to Python, to installed packages or to us, and not to the user."""
    places = (Path(sys.prefix), Path(sys.base_prefix), Path(prunesearch.__file__).parent)
    return any(Path(path).resolve().is_relative_to(place.resolve()) for place in places)


def _own_paths() -> list[str]:
    """Where Python looks for modules, without its own folders and those of installed packages."""
    return [p for p in sys.path if p and not is_installed(p)]


def _module_path(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec and spec.origin else None


def _from_file(path: Path) -> ModuleType:
    """The module of a file, executed anew, with the file's folder importable meanwhile."""
    if not path.is_file():
        raise TaskError(f"{path}: no such file", "'prunesearch init' writes a task file to start from")
    name = f"prunesearch_task_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and torch.save look modules up by name
    with _importable(path.parent), _told(str(path)):
        spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    with _importable(Path.cwd()), _told(name):
        return importlib.import_module(name)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a TaskError that names the place."""
    try:
        yield
    except PrunesearchError:
        raise
    except SyntaxError as problem:
        raise TaskError(f"{where}: line {problem.lineno}: {problem.msg}", "python -m py_compile shows the place") from problem
    except Exception as problem:
        raise TaskError(f"{where}: {type(problem).__name__}: {problem}", "--debug shows the traceback") from problem


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

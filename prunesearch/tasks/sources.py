"""The code that a task consists of: which files are the user's own, and a hash of them."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import prunesearch

_FOLDER = -1
"""The kind of a package without `__init__.py`, beside those of `modulefinder`, which are positive."""


def source_digest(source: str) -> str:
    """Hash of the user's file and of everything it imports that no package manager installed.

    Files count by what they hold and by the names under which they are imported, not by where they lie.

    Args:
        source: path of a .py file, or name of an importable module.

    Returns:
        64 hex digits, or "" where no file was found.
    """
    importlib.invalidate_caches()
    modules: dict[str, Any] = _Finder(source).modules
    files = {name: Path(module.__file__) for name, module in sorted(modules.items()) if module.__file__}
    hashed = hashlib.sha256()
    for name, file in files.items():
        if file.is_file():  # a package that does not compile is a folder here
            hashed.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest() if files else ""


@functools.cache
def is_installed(path: str) -> bool:
    """Whether a file or folder belongs to Python, to installed packages or to us, and not to the user."""
    places = (Path(sys.prefix), Path(sys.base_prefix), Path(prunesearch.__file__).parent)
    return any(Path(path).resolve().is_relative_to(place.resolve()) for place in places)


def homes(spec: object) -> list[Path]:
    """The folders in which a module without a dot in its name was found: one, or several of a package without `__init__.py`."""
    if not isinstance(spec, ModuleSpec):
        return []
    places: Iterable[str | None] = spec.submodule_search_locations or [spec.origin]
    return [Path(place).parent for place in places if place]


class _Finder(ModuleFinder):
    """Reads code for what it imports, from folders without `__init__.py` too.

    Args:
        source: path of a .py file, or name of a module, which is read with the packages that it lies in.
    """

    def __init__(self, source: str) -> None:
        own = [p for p in sys.path if p and not is_installed(p)]
        super().__init__(path=own, excludes=["prunesearch"])
        self._head: dict[str, list[str]] = {}
        if source.endswith(".py"):
            path = Path(source).expanduser()
            self.path = [str(path.parent), *own]
            self.run_script(str(path))
            return
        head = source.partition(".")[0]
        with suppress(ImportError, ValueError):
            self._head[head] = [str(home) for home in homes(importlib.util.find_spec(head))]  # which may be an installed one
            self.import_hook(source)

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        path = self._head.get(name) if path is None else path
        spec = PathFinder.find_spec(name, self.path if path is None else path)
        if spec is None or spec.loader is not None:
            return super().find_module(name, path, parent)
        return None, list(spec.submodule_search_locations or ()), ("", "", _FOLDER)

    def load_module(self, fqname: str, fp: Any, pathname: Any, file_info: Any) -> Any:
        if file_info[2] != _FOLDER:
            return super().load_module(fqname, fp, pathname, file_info)
        module: Any = self.add_module(fqname)
        module.__path__ = pathname
        return module

    def determine_parent(self, caller: Any, level: int = -1) -> Any:
        try:
            return super().determine_parent(caller, level)
        except ImportError:  # `from . import net` in a file that lies in no package
            return caller

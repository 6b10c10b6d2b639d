"""Where a criterion's name becomes its score: our own files by name, plug-ins by registration."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, cast

from prunesearch.catalogue import CRITERIA, CriterionInfo, register
from prunesearch.errors import PolicyError, UsageError, did_you_mean

if TYPE_CHECKING:  # base imports torch, and names are wanted without it
    from prunesearch.criteria.base import Score


@dataclass
class _Plugins:
    """Scores from outside by name, and the files that were loaded."""

    scores: dict[str, Score] = field(default_factory=dict)
    files: dict[Path, tuple[str, ...]] = field(default_factory=dict)


_PLUGINS = _Plugins()
BUILT_IN = frozenset(CRITERIA)
"""Names of our own criteria: those known before any plug-in is."""


def load_criterion(name: str) -> Score:
    """The score of a criterion; torch and the criterion's file are imported now.

    Raises:
        PolicyError: there is no such criterion.
    """
    if name in _PLUGINS.scores:
        return _PLUGINS.scores[name]
    if name not in BUILT_IN:
        hint = "a plug-in has to be loaded before it is used"
        raise PolicyError(f"criterion: '{name}' is unknown; {did_you_mean(name, CRITERIA)}", hint)
    return cast("Score", importlib.import_module(f"prunesearch.criteria.{name}").score)


def register_score(info: CriterionInfo, score: Score) -> None:
    """Add a criterion of the user's own: from now on policies and search spaces know its name.

    The same function registered again (a notebook cell run twice) replaces itself.

    Raises:
        UsageError: the name is taken, by one of ours or by another plug-in.
    """
    known = _PLUGINS.scores.get(info.name)
    if info.name in BUILT_IN or (known is not None and _place(known) != _place(score)):
        raise UsageError(f"criterion '{info.name}' is registered twice", "give the plug-in's criterion another name")
    register(info)
    _PLUGINS.scores[info.name] = score


def load_plugin(path: str | Path) -> tuple[str, ...]:
    """Run a Python file that registers criteria; a file that was loaded before is not run again.

    Args:
        path: a `.py` file that calls `register_score`.

    Returns:
        The names that it registered.

    Raises:
        UsageError: the file is missing, fails, or registers nothing.
    """
    file = Path(path).resolve()
    if file not in _PLUGINS.files:
        before = dict(_PLUGINS.scores)
        _run(file, str(path))
        added = tuple(name for name, score in _PLUGINS.scores.items() if before.get(name) is not score)
        if not added:
            raise UsageError(f"{path}: registers no criterion", "call prunesearch.criteria.register_score(info, score) in it")
        _PLUGINS.files[file] = added
    return _PLUGINS.files[file]


def _run(file: Path, shown: str) -> ModuleType:
    name = f"prunesearch_plugin_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise UsageError(f"{shown}: is no Python file that can be loaded", "give the path of a .py file that exists")
    module = importlib.util.module_from_spec(spec)
    with _known_as(name, module):
        try:
            spec.loader.exec_module(module)
        except UsageError:
            raise
        except Exception as problem:
            raise UsageError(f"{shown}: fails with {type(problem).__name__}: {problem}", "run the file by itself") from problem
    return module


@contextmanager
def _known_as(name: str, module: ModuleType) -> Iterator[None]:
    """`module` in sys.modules, as dataclasses need it; taken out again where it fails."""
    sys.modules[name] = module
    try:
        yield
    except BaseException:
        del sys.modules[name]
        raise


def _place(score: object) -> tuple[str, str]:
    """Where a function, or the class of a callable object, is written."""
    kind = score if isinstance(score, FunctionType) else type(score)
    return kind.__module__, kind.__qualname__

"""Search for how to prune a neural network.

    import prunesearch as ps

    front = ps.search("quickstart", trials=20)
    best = front.where("accuracy >= dense - 0.02", by="params")

Every command of the program is a function here, with the same argument names. What a name needs is imported when it is
first used, so that `import prunesearch` takes milliseconds and brings in neither torch nor optuna.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunesearch.api import (
        animate,
        check,
        curve,
        dashboard,
        doctor,
        export,
        front,
        groups,
        init,
        load,
        run,
        search,
        sensitivity,
        show,
        status,
        studies,
        studies_copy,
        studies_show,
        version,
    )
    from prunesearch.errors import PrunesearchError
    from prunesearch.front import Front, FrontRow
    from prunesearch.policy import Policy
    from prunesearch.pruning.session import PruningSession
    from prunesearch.spec import StudySpec
    from prunesearch.tasks import Task

__all__ = [
    "Front",
    "FrontRow",
    "Policy",
    "PrunesearchError",
    "PruningSession",
    "StudySpec",
    "Task",
    "animate",
    "check",
    "curve",
    "dashboard",
    "doctor",
    "export",
    "front",
    "groups",
    "init",
    "load",
    "run",
    "search",
    "sensitivity",
    "show",
    "status",
    "studies",
    "studies_copy",
    "studies_show",
    "version",
]

_HOMES = MappingProxyType(
    {
        "Front": "prunesearch.front",
        "FrontRow": "prunesearch.front",
        "Policy": "prunesearch.policy",
        "PruningSession": "prunesearch.pruning.session",
        "PrunesearchError": "prunesearch.errors",
        "StudySpec": "prunesearch.spec",
        "Task": "prunesearch.tasks",
    }
)
"""Where the classes live; everything else in `__all__` is a function of `prunesearch.api`."""


class _Package(ModuleType):
    """This package, in which `ps.search` stays the function although a package `prunesearch.search` exists.

    Importing a submodule sets it as an attribute of its package. Where a public name stands in the way, it wins.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'prunesearch' has no attribute '{name}'")
    found = getattr(import_module(_HOMES.get(name, "prunesearch.api")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _Package

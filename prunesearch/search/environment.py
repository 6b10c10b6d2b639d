"""What a study was made with: versions and machine, without importing any of the packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from prunesearch.measure.processor import processor

_PACKAGES = ("torch", "torchvision", "torch-pruning", "optuna", "numpy", "scikit-learn", "sqlalchemy")


def code_version() -> str:
    """The version of prunesearch; `unknown` where it runs from a folder that is not installed."""
    return _version("prunesearch") or "unknown"


def environment() -> dict[str, str | int | None]:
    """Versions of Python and of the packages that decide about numbers, the system, the processor and the number of cores."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "host": platform.node(),
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

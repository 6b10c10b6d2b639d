"""`version`: which prunesearch this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """The version of prunesearch; in a checkout that is not installed, `0+checkout`."""
    try:
        return installed("prunesearch")
    except PackageNotFoundError:
        return "0+checkout"

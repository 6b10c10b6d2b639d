"""Where things are: flag before environment before default. Tasks that load data by themselves ask for PRUNESEARCH_DATA too."""

from __future__ import annotations

import math
import os
from pathlib import Path

from prunesearch.errors import UsageError

STORE_VARIABLE, DATA_VARIABLE, HOME_VARIABLE = "PRUNESEARCH_STORE", "PRUNESEARCH_DATA", "PRUNESEARCH_HOME"
DEFAULT_STORE = "sqlite:///prunesearch.db"


def store_url(given: str | None) -> str:
    """The store's URL: as given, or from PRUNESEARCH_STORE, or `prunesearch.db` in the current folder.

    A path without a scheme, `results.db`, means an SQLite file.
    """
    url = given or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
    return url if "://" in url else f"sqlite:///{url}"


def data_folder(given: str | None) -> str | None:
    """The folder of the data sets: as given, or from PRUNESEARCH_DATA, or None for the tasks' own default."""
    return given or os.environ.get(DATA_VARIABLE) or None


def home_folder() -> Path:
    """The folder of what searches keep for later, PRUNESEARCH_HOME or `.prunesearch` in the current folder."""
    return Path(os.environ.get(HOME_VARIABLE) or ".prunesearch").absolute()


def arrays_folder() -> str:
    """The folder of decoded data that all workers of this host share, and later searches."""
    return str(home_folder() / "arrays")


def stage_settings(budget: float | None = None) -> tuple[str | None, int]:
    """Folder of the stages that trials share, and the bytes they may take.

    Args:
        budget: GiB; None: 2; 0: nothing is shared, and there is no folder.

    Raises:
        UsageError: a budget below 0, or none that is finite.
    """
    gib = 2.0 if budget is None else budget
    if not 0 <= gib < math.inf:
        raise UsageError(f"--stage-budget must be a number from 0, got {gib:g}", "give GiB, or 0 to share nothing")
    return (str(home_folder() / "stages") if gib else None), int(gib * 2**30)

"""Where things are: flag before environment before default. The only place that reads the environment."""

from __future__ import annotations

import os

STORE_VARIABLE, DATA_VARIABLE = "PRUNESEARCH_STORE", "PRUNESEARCH_DATA"
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

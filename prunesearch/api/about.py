"""`version`: which prunesearch this is."""

from __future__ import annotations

from prunesearch.search.environment import code_version


def version() -> str:
    """Tell the version of prunesearch; `unknown` in a checkout that is not installed."""
    return code_version()

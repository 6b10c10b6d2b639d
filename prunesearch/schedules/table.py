"""Writes the generated blocks of docs/policies.md: `python -m prunesearch.schedules.table [--check] [PAGE]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from prunesearch.schedules import examples, reference
from prunesearch.schedules.markdown import with_block

BLOCKS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "levels": examples.ten_epochs,
        "edges": examples.few_epochs,
        "rewinding": examples.rewinding,
        "criteria": reference.criteria,
        "together": reference.together,
        "integers": reference.integers,
        "hyperparameters": reference.hyperparameters,
    }
)
"""By name, the text of every block that is generated from the code; blocks of other names are left alone."""


def renewed(page: str) -> str:
    """`page` with all generated blocks as the code would have them now.

    Raises:
        UsageError: one of the blocks has no place on the page.
    """
    for name, body in BLOCKS.items():
        page = with_block(page, name, body())
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Renew the page, or with `--check` only say whether it is stale (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m prunesearch.schedules.table", description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=Path("docs/policies.md"))
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where the page is stale")
    given = parser.parse_args(arguments)
    old = given.page.read_text(encoding="utf-8")
    new = renewed(old)
    if not given.check:
        given.page.write_text(new, encoding="utf-8")
    elif new != old:
        raise SystemExit(f"{given.page} is stale: run python -m prunesearch.schedules.table {given.page}")


if __name__ == "__main__":
    main()

"""Puts docs/results.md and the README's table together from what is on record; measures nothing.

    python -m benchmarks results_page

It also renews the README's table of times, from `benchmarks.brief`, and RESULTS.md's of goals, from `benchmarks.goals`.

A row of the page is a module of this package that offers `section() -> str`, Markdown from its JSON and empty while there is
none, `summary() -> list[Summary]`, and, where it has any, `pictures() -> None`, which draws them anew; it is listed in
`MODULES`. Sections draw nothing, so that a test can compare the page with what is on record.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from benchmarks.brief import speed
from benchmarks.goals import goals
from benchmarks.scenarios import ROOT
from prunesearch.schedules.markdown import table, with_block

MODULES = ("like_for_like", "budgets", "cnn84", "strategies", "small", "grid", "field")
"""Modules of `benchmarks.proof`, in the order of the page."""
PAGE, README, RESULTS = ROOT / "docs" / "results.md", ROOT / "README.md", ROOT / "benchmarks" / "RESULTS.md"
HEAD = ("system", "network and cut", "published", "ours, like for like", "ours, searched", "command")


@dataclass(frozen=True)
class Summary:
    """One row of the README's table. What several modules say of one network and cut is put into one row.

    Args:
        system: the published system or source.
        what: data, network and how much of it goes.
        published: its figure.
        like: ours, the same network, levels and retraining.
        searched: ours, with a searched policy.
        command: what reproduces it.
    """

    system: str
    what: str
    published: str = ""
    like: str = ""
    searched: str = ""
    command: str = ""


def joined(rows: Iterable[Summary]) -> list[Summary]:
    """One row per system and cut, systems in the order of their first mention; what two say differently is told twice."""
    found: dict[str, dict[str, Summary]] = {}
    for row in rows:
        cuts = found.setdefault(row.system, {})
        known = cuts.get(row.what)
        cuts[row.what] = row if known is None else replace(known, **_merged(known, row))
    return [row for cuts in found.values() for row in cuts.values()]


def _merged(known: Summary, row: Summary) -> dict[str, str]:
    pairs = {name: (getattr(known, name), getattr(row, name)) for name in ("published", "like", "searched", "command")}
    lines = {name: [line for text in pair for line in text.split("<br>") if line] for name, pair in pairs.items()}
    return {name: "<br>".join(dict.fromkeys(each)) for name, each in lines.items()}


def build(modules: Iterable[ModuleType], page: Path = PAGE, readme: Path = README) -> None:
    """Renew the generated blocks of both pages; other text stays.

    Raises:
        UsageError: a page has no such block.
    """
    made = list(modules)
    sections = [text for text in (module.section() for module in made) if text]
    rows = [
        [r.system, r.what, r.published or "-", r.like or "-", r.searched or "-", r.command]
        for r in joined(s for m in made for s in m.summary())
    ]
    for path, body in ((page, "\n\n".join(sections)), (readme, table(HEAD, rows) if rows else "")):
        path.write_text(with_block(path.read_text(encoding="utf-8"), "results", body), encoding="utf-8")


def main() -> None:
    """Renew both pages and all pictures."""
    modules = [importlib.import_module(f"benchmarks.proof.{name}") for name in MODULES]
    build(modules)
    for path, name, body in ((README, "speed", speed()), (RESULTS, "goals", goals())):
        path.write_text(with_block(path.read_text(encoding="utf-8"), name, body), encoding="utf-8")
    for module in modules:
        getattr(module, "pictures", _none)()


def _none() -> None:
    """A module without pictures."""


if __name__ == "__main__":
    main()

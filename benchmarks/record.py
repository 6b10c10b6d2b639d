"""Raw results as JSON, one file per benchmark, and the blocks of RESULTS.md that are made from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import in_words, machine, moment
from prunesearch.schedules.markdown import with_block

Run = dict[str, Any]
PAGE = "RESULTS.md"
_HEAD = "# Results\n\nMade by `python -m benchmarks NAME`; raw figures in `results/`. Do not edit by hand.\n"


@dataclass(frozen=True)
class Record:
    """The runs of one benchmark.

    Args:
        name: the benchmark's.
        folder: where `results/NAME.json` and the page are kept.
        fresh: find nothing that was measured before.
    """

    name: str
    folder: Path
    fresh: bool = False
    _made: list[Run] = field(default_factory=list, init=False, compare=False)

    @property
    def runs(self) -> list[Run]:
        """The newest run of everything that this machine has measured with these versions."""
        return [run for run in self._all if run["machine"] == machine()]

    @property
    def _all(self) -> list[Run]:
        if not self._path.exists():
            return []
        runs: list[Run] = json.loads(self._path.read_text(encoding="utf-8"))["runs"]
        return runs

    def find(self, **key: Any) -> Run | None:
        """The run of this machine that has all of these values; with `fresh` only what this very record was given."""
        runs = self._made if self.fresh else self.runs
        return next((run for run in runs if _has(run, key)), None)

    def add(self, key: Mapping[str, Any], figures: Mapping[str, Any]) -> Run:
        """Keep a run at once, so that a benchmark that is stopped goes on after it.

        It takes the place of what this machine measured under the same key before, with whichever code; runs of other
        machines stay.

        Args:
            key: what `find` is asked for; `code` in it is the hash of what was run.
            figures: what was measured; plain data.
        """
        run: Run = {**key, **figures, **moment(), "machine": machine()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replaced = {**{name: value for name, value in key.items() if name != "code"}, "machine": machine()}
        kept = [other for other in self._all if not _has(other, replaced)]
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"benchmark": self.name, "runs": [*kept, run]}, indent=1) + "\n", encoding="utf-8")
        draft.replace(self._path)
        self._made.append(run)
        return run

    def publish(self, body: str, of: Sequence[Run] | None = None) -> str:
        """Put a block into the page, with the machine and the dates of the runs above it; the block as it stands there.

        Args:
            body: Markdown.
            of: the runs that it tells of; default: those of this machine.
        """
        runs = self.runs if of is None else of
        page = self.folder / PAGE
        text = page.read_text(encoding="utf-8") if page.exists() else _HEAD
        if f"<!-- generated: {self.name} -->" not in text:
            text += f"\n## {self.name}\n\n<!-- generated: {self.name} -->\n\n<!-- end of generated -->\n"
        block = f"{_told(runs)}\n\n{body}" if runs else body
        page.write_text(with_block(text, self.name, block), encoding="utf-8")
        return block

    @property
    def _path(self) -> Path:
        return self.folder / "results" / f"{self.name}.json"


def _told(runs: Sequence[Run]) -> str:
    """When, beside what, and on what."""
    loads = f"load at their ends, their own included, {min(r['load'] for r in runs)} to {max(r['load'] for r in runs)}"
    return f"*{_from_to(run['date'] for run in runs)}, {loads}. {in_words(runs[-1]['machine'])}.*"


def _has(run: Run, values: Mapping[str, Any]) -> bool:
    return all(run.get(name) == value for name, value in values.items())


def newest(runs: Sequence[Run]) -> list[Run]:
    """Of every scenario only the runs of the code that ran last, in their order."""
    codes = {run["scenario"]: run["code"] for run in sorted(runs, key=lambda run: str(run["date"]))}
    return [run for run in runs if run["code"] == codes[run["scenario"]]]


def days(runs: Iterable[Run]) -> str:
    """The day of the runs, or the first and the last: `2026-11-20 to 2026-11-30`."""
    return _from_to(run["date"].split()[0] for run in runs)


def _from_to(moments: Iterable[str]) -> str:
    known = sorted(moments)
    return known[0] if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def counted(count: int, one: str = "run", many: str = "runs") -> str:
    """`one run`, `3 runs`."""
    return f"one {one}" if count == 1 else f"{count} {many}"


def middle(values: Sequence[float]) -> str:
    """A median with its span: `12.3 (11.9 to 13.0)`; alone where there is one value."""
    if len(values) == 1:
        return digits(values[0])
    return f"{digits(median(values))} ({digits(min(values))} to {digits(max(values))})"


def digits(value: float) -> str:
    """Three significant digits."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"

"""What was aimed at, what is on record, and where the limit lies of what was not reached; measures nothing.

`python -m benchmarks results_page` puts the table into RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.breakdown import PARTS, WORKERS
from benchmarks.proof.searches import stored
from benchmarks.race import ideal_seconds, over_ideal, ratios
from benchmarks.record import Run, middle
from benchmarks.scaling import scaled
from prunesearch.schedules.markdown import table

HEAD = ("what", "aimed at", "on record", "reached", "where the limit is")
BEFORE = "before"
"""The figure of a run in fast numerics that leaves out measuring its front again."""


@dataclass(frozen=True)
class Race:
    """How many times as fast somebody is to be as somebody else, the same policies in the same repeat.

    Args:
        scenario: on what.
        who: the contestant.
        bar: whose time it is held against.
        least: times as fast.
        figure: of the contestant's run: `seconds`, or `BEFORE`.
    """

    scenario: str
    who: str
    bar: str
    least: float
    figure: str = "seconds"

    @property
    def what(self) -> str:
        """In words."""
        front = (
            "" if self.who != "fast" else f", {'before its front is' if self.figure == BEFORE else 'its front'} measured again"
        )
        return f"{self.scenario}: {self.who}{front}, against {self.bar}"


RACES = (
    Race("lenet300", "prunesearch", "tutorial", 10),
    Race("lenet300", "prunesearch", "expert", 2),
    Race("lenet300", "fast", "tutorial", 15, BEFORE),
    Race("lenet300", "fast", "expert", 3, BEFORE),
    Race("lenet300", "fast", "tutorial", 10),
    Race("lenet300", "fast", "expert", 2),
    Race("lenet5", "prunesearch", "tutorial", 4),
    Race("lenet5", "prunesearch", "expert", 2.5),
    Race("resnet20", "prunesearch", "tutorial", 3),
)
"""Against whom, and by how much."""
OVER, SPEEDUP, OVERHEAD = 1.10, 1.85, 0.05
"""At most so many times the bound; two workers at least so many times as fast as one; at most this share outside training."""


def goals() -> str:
    """The table; empty while nothing was measured."""
    rows = [*filter(None, map(_raced, RACES)), *_bounds(), *_speedup(), *_shares()]
    return table(HEAD, rows) if rows else ""


def _raced(race: Race) -> list[str] | None:
    runs = [r for r in stored("peers") if r["scenario"] == race.scenario]
    mine = [{**r, "seconds": r[race.figure]} for r in runs if r["contestant"] == race.who]
    bars = [r for r in runs if r["contestant"] == race.bar]
    times = ratios(bars, mine)
    if not times:
        return None
    reached = median(times) >= race.least
    return [
        race.what,
        f"{race.least:g} times as fast",
        _counted(times),
        _yes(reached),
        "" if reached else _limit(race, mine, bars),
    ]


def _limit(race: Race, mine: Sequence[Run], bars: Sequence[Run]) -> str:
    """How fast it could be at most: if its workers did nothing but train, and what measuring the front again takes."""
    alone = [{**r, "seconds": ideal_seconds(r)} for r in mine]
    told = f"its epochs alone, on two workers that do nothing else: {median(ratios(bars, alone)):.2f} times as fast"
    if race.who == "fast" and race.figure != BEFORE:
        told += f"; measuring the front again takes {middle([float(r['seconds'] - r[BEFORE]) for r in mine])} s"
    return told


def _bounds() -> Iterable[list[str]]:
    """How far every scenario's searches are from what their epochs alone take."""
    for scenario in dict.fromkeys(race.scenario for race in RACES):
        runs = [r for r in stored("peers") if (r["scenario"], r["contestant"]) == (scenario, "prunesearch")]
        if runs:
            over = [over_ideal(r) for r in runs]
            reached = median(over) <= OVER
            limit = "" if reached else _profile(scenario)
            yield [
                f"{scenario}: time against that of its epochs alone",
                f"at most {OVER:.2f}",
                _counted(over),
                _yes(reached),
                limit,
            ]


def _profile(scenario: str) -> str:
    """What a search consists of beside training, the largest parts first."""
    runs = sorted((r for r in stored("breakdown") if r["scenario"] == scenario), key=lambda r: float(r["seconds"]))
    if not runs:
        return ""
    run = runs[len(runs) // 2]
    parts = {p: s / (WORKERS * run["seconds"]) for p, s in run["parts"].items() if p in PARTS and p != "train"}
    largest = sorted(parts.items(), key=lambda part: -part[1])[:4]
    return "of the workers' time: " + ", ".join(f"{name} {share:.1%}" for name, share in largest)


def _speedup() -> Iterable[list[str]]:
    runs = [r for r in stored("scaling") if r["scenario"] == "lenet300"]
    for found in scaled(runs)[1:] if runs else ():
        if found.workers == WORKERS:
            what = f"lenet300: {WORKERS} workers against one"
            yield [what, f"{SPEEDUP} times as fast", f"{found.times:.2f}", _yes(found.times >= SPEEDUP), ""]


def _shares() -> Iterable[list[str]]:
    """Overhead and the cost of latency, of searches by number of trials."""
    searches = [r for r in stored("overhead") if "scenario" in r]
    for trials in sorted({int(r["trials"]) for r in searches}):
        runs = sorted((r["run"] for r in searches if r["trials"] == trials), key=lambda run: float(run["overhead"]))
        middle_run, overheads = runs[len(runs) // 2], [float(run["overhead"]) for run in runs]
        yield _share(f"lenet300, {trials} trials: outside training, evaluation and latency", overheads, _outside(middle_run))
        latencies = [_spent(run, "latency") for run in runs]
        yield _share(f"lenet300, {trials} trials: latency, the other worker's making way included", latencies, "")


def _share(what: str, found: Sequence[float], limit: str) -> list[str]:
    reached = median(found) <= OVERHEAD
    span = f" ({min(found):.1%} to {max(found):.1%}), {len(found)} runs" if len(found) > 1 else ", one run"
    told = f"{median(found):.1%}{span}"
    return [what, f"at most {OVERHEAD:.0%}", told, _yes(reached), "" if reached else limit]


def _outside(run: Run) -> str:
    """What a search's overhead consists of."""
    trials, wait = _spent(run, "select", "cut", "other"), _spent(run, "wait")
    rest = float(run["overhead"]) - trials - wait
    return f"of the workers' time: start-up and the driver {rest:.1%}, within trials {trials:.1%}, waiting for epochs {wait:.1%}"


def _spent(run: Run, *what: str) -> float:
    """The share of the workers' time that trials spent on something."""
    return sum(float(run["spent"].get(f"trial_{part}", 0.0)) for part in what) / (WORKERS * float(run["seconds"]))


def _counted(values: Sequence[float]) -> str:
    return f"{middle(values)}, {len(values)} runs" if len(values) > 1 else f"{middle(values)}, one run"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"

"""What was aimed at, what is on record, and where the limit lies of what was not reached; measures nothing.

`python -m benchmarks results_page` puts the table into RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import median

from benchmarks.adaptive import MINUTES, SEARCHERS, SEEDS, searched
from benchmarks.breakdown import WORKERS
from benchmarks.proof.searches import stored
from benchmarks.race import ideal_seconds, over_ideal, ratios
from benchmarks.record import Run, counted, middle, newest
from benchmarks.scaling import scaled
from prunesearch.results import Timings
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
FEW = 3
"""What rests on fewer runs than these says so."""


def goals() -> str:
    """The table; empty while nothing was measured."""
    rows = [*filter(None, map(_raced, RACES)), *_bounds(), *_speedup(), *_seeds(), *_shares()]
    return table(HEAD, rows) if rows else ""


def _raced(race: Race) -> list[str] | None:
    runs = [r for r in stored("peers") if r["scenario"] == race.scenario]
    mine = [{**r, "seconds": r[race.figure]} for r in runs if r["contestant"] == race.who]
    bars = [r for r in runs if r["contestant"] == race.bar]
    times = ratios(bars, mine)
    if not times:
        return None
    reached = median(times) >= race.least
    limit = "" if reached else _limit(race, mine, bars)
    return [race.what, f"{race.least:g} times as fast", _spread(times), _yes(reached, times), limit]


def _limit(race: Race, mine: Sequence[Run], bars: Sequence[Run]) -> str:
    """How fast it could be at most: if its workers did nothing but its epochs, and what measuring the front again takes."""
    alone = [{**r, "seconds": ideal_seconds(r)} for r in mine]
    told = f"its epochs, validation included, on two workers alone: {median(ratios(bars, alone)):.2f} times as fast"
    if race.who == "fast" and race.figure != BEFORE:
        told += f"; measuring the front again takes {middle([float(r['seconds'] - r[BEFORE]) for r in mine])} s"
    return told


def _bounds() -> Iterable[list[str]]:
    """How far every scenario's searches are from what their epochs take, validation included."""
    for scenario in dict.fromkeys(race.scenario for race in RACES):
        runs = [r for r in stored("peers") if (r["scenario"], r["contestant"]) == (scenario, "prunesearch")]
        if runs:
            over = [over_ideal(r) for r in runs]
            reached = median(over) <= OVER
            what = f"{scenario}: time against that of its epochs, validation included"
            yield [what, f"at most {OVER:.2f}", _spread(over), _yes(reached, over), "" if reached else _beyond(runs)]


def _beyond(runs: Sequence[Run]) -> str:
    """What lies beyond the bound, the largest parts first: of the run whose ratio is the median, in parts of its bound."""
    run = sorted(runs, key=over_ideal)[len(runs) // 2]
    spent, had, bound = run["run"]["spent"], WORKERS * float(run["seconds"]), WORKERS * ideal_seconds(run)
    seconds = {part: float(spent.get(f"trial_{part}", 0.0)) for part in (f.name for f in fields(Timings))}
    parts = {
        "start-up, the driver and empty slots": had - sum(seconds.values()),
        "measuring beyond the epochs": seconds["train"] + seconds["validate"] - bound,
        "latency": seconds["latency"],
        "waiting for epochs": seconds["wait"],
        "else within trials": seconds["select"] + seconds["cut"] + seconds["other"],
    }
    largest = sorted(parts.items(), key=lambda part: -part[1])
    whose = "" if len(runs) == 1 else ", in the run of the median"
    return f"beyond the epochs, in parts of them{whose}: " + ", ".join(f"{name} {part / bound:.1%}" for name, part in largest)


def _speedup() -> Iterable[list[str]]:
    for found in scaled([r for r in newest(stored("scaling")) if r["scenario"] == "lenet300"])[1:]:
        if found.workers == WORKERS and found.times:
            reached = median(found.times) >= SPEEDUP
            what, aim = f"lenet300: {WORKERS} workers against one", f"{SPEEDUP} times as fast"
            yield [what, aim, _spread(found.times), _yes(reached, found.times), ""]


def _seeds() -> Iterable[list[str]]:
    """With how many seeds both sides of the searches of equal length ran."""
    runs = searched(stored("adaptive"), "lenet300", MINUTES[-1])
    found = len({r["seed"] for r in runs})
    if found:
        reached = found >= SEEDS
        limit = "" if reached else f"a seed takes {len(SEARCHERS) * MINUTES[-1]} minutes of the machine"
        yield ["lenet300: seeds of searches of equal length", f"{SEEDS}", f"{found}", _verdict(reached), limit]


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
    span = f" ({min(found):.1%} to {max(found):.1%})" if len(found) > 1 else ""
    told = f"{median(found):.1%}{span}, {counted(len(found))}"
    return [what, f"at most {OVERHEAD:.0%}", told, _yes(reached, found), "" if reached else limit]


def _outside(run: Run) -> str:
    """What a search's overhead consists of."""
    trials, wait = _spent(run, "select", "cut", "other"), _spent(run, "wait")
    rest = float(run["overhead"]) - trials - wait
    return f"of the workers' time: start-up and the driver {rest:.1%}, within trials {trials:.1%}, waiting for epochs {wait:.1%}"


def _spent(run: Run, *what: str) -> float:
    """The share of the workers' time that trials spent on something."""
    return sum(float(run["spent"].get(f"trial_{part}", 0.0)) for part in what) / (WORKERS * float(run["seconds"]))


def _spread(values: Sequence[float]) -> str:
    return f"{middle(values)}, {counted(len(values))}"


def _yes(reached: bool, values: Sequence[float]) -> str:
    """The verdict, and on how many runs it rests where those are few."""
    return _verdict(reached) + (f", on {counted(len(values))}" if len(values) < FEW else "")


def _verdict(reached: bool) -> str:
    return "yes" if reached else "**no**"

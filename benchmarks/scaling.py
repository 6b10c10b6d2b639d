"""Does a second worker halve the time, and how far is a search from what its epochs cost?

    python -m benchmarks scaling --data-dir DIR [--workers 1 2]

The committed list of policies, as in `peers`, with one worker and with two, in turn. The bound is what the epochs that
are trained take, validation included, measured with one worker and no neighbour, shared out among the workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.estimate import epoch_seconds, start_seconds
from benchmarks.machine import source_digest
from benchmarks.race import OURS, ratios
from benchmarks.record import Record, Run, middle, newest
from benchmarks.scenarios import SCENARIOS, Scenario, distinct_epochs, listed
from benchmarks.searching import How, search
from prunesearch.schedules.markdown import table

NAME = "scaling"


def main() -> None:
    """Measure and publish."""
    made = parser(__doc__)
    made.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = made.parse_args()
    wanted = asked(NAME, args, ["lenet300"])
    todo = [(s, w, r) for s in wanted.scenarios for r in range(wanted.repeats) for w in _turn(args.workers, r)]
    left = [t for t in todo if wanted.record.find(**_key(*t)) is None]
    announce(f"{len(left)} of {len(todo)} searches", sum(_seconds(wanted, s, w) for s, w, _ in left))
    for scenario, workers, repeat in left:
        figures = measured(scenario, workers, wanted)
        wanted.record.add(_key(scenario, workers, repeat), figures)
        print(f"{scenario.name}, {workers} workers, {repeat + 1}/{wanted.repeats}: {figures['seconds']:.1f} s", flush=True)
    print(wanted.record.publish(report(wanted.record), newest(wanted.record.runs)))


def measured(scenario: Scenario, workers: int, wanted: Asked) -> dict[str, Any]:
    """One search."""
    found = search(scenario, listed(scenario, quick=wanted.quick), How(workers=workers, data_dir=wanted.data_dir))
    return {"seconds": found.wall, "trained": found.trained, "epoch_seconds": found.epoch_seconds, "run": found.run}


def _turn(workers: Sequence[int], repeat: int) -> list[int]:
    return list(workers if repeat % 2 == 0 else reversed(workers))


def _key(scenario: Scenario, workers: int, repeat: int) -> dict[str, Any]:
    return {"scenario": scenario.name, "workers": workers, "repeat": repeat, "code": source_digest(*OURS)}


def _seconds(wanted: Asked, scenario: Scenario, workers: int) -> float:
    known = wanted.record.find(scenario=scenario.name, workers=workers)
    if known:
        return float(known["seconds"])
    epochs = distinct_epochs(listed(scenario, quick=wanted.quick), scenario.epochs)
    return start_seconds() + epochs * epoch_seconds("expert", scenario, wanted.data_dir) / workers


def report(record: Record) -> str:
    """One table per scenario on record, of its newest code's searches."""
    parts, newer = [], newest(record.runs)
    for scenario in SCENARIOS.values():
        runs = [r for r in newer if r["scenario"] == scenario.name]
        if runs:
            about = f"{scenario.about}; {scenario.epochs} epochs. Medians and spans; ratios are taken repeat by repeat."
            parts += [f"### {scenario.name}\n\n{about}", _table(runs)]
    return "\n\n".join(parts)


@dataclass(frozen=True)
class Scaled:
    """What searches with one number of workers took, beside those with the fewest in the same repeat.

    Args:
        workers: how many.
        runs: the searches.
        fewest: those with the fewest workers.
    """

    workers: int
    runs: tuple[Run, ...]
    fewest: tuple[Run, ...]

    @property
    def times(self) -> list[float]:
        """How many times as fast as with the fewest workers, for every repeat that both have."""
        return ratios(self.fewest, self.runs)

    @property
    def bounds(self) -> dict[int, float]:
        """Repeat -> seconds of the epochs, each as long as with the fewest workers then, shared out among the workers."""
        alone = {r["repeat"]: float(r["epoch_seconds"]) for r in self.fewest}
        return {r["repeat"]: r["trained"] * alone[r["repeat"]] / self.workers for r in self.runs if r["repeat"] in alone}

    @property
    def over(self) -> list[float]:
        """How many times the bound it took, for every repeat that both have."""
        bounds = self.bounds
        return [float(r["seconds"]) / bounds[r["repeat"]] for r in self.runs if r["repeat"] in bounds]


def scaled(runs: Sequence[Run]) -> list[Scaled]:
    """The searches of one scenario by number of workers, the fewest first; none where there are no runs."""
    by = {n: tuple(r for r in runs if r["workers"] == n) for n in sorted({int(r["workers"]) for r in runs})}
    return [Scaled(workers, mine, by[min(by)]) for workers, mine in by.items()]


def _table(runs: Sequence[Run]) -> str:
    rows = []
    for s in scaled(runs):
        took, each = ([float(r[what]) for r in s.runs] for what in ("seconds", "epoch_seconds"))
        told = [middle(values) if values else "-" for values in (took, s.times, list(s.bounds.values()), s.over, each)]
        rows.append([str(s.workers), str(len(s.runs)), *told, str(s.runs[0]["trained"])])
    return table(["workers", "runs", "seconds", "times as fast", "bound, s", "over the bound", "s per epoch", "epochs"], rows)


if __name__ == "__main__":
    main()

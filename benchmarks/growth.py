"""How cost grows with the number of trials: seconds, epochs that are shared, memory, database.

    python -m benchmarks growth --data-dir DIR [--trials 8 24 72 216]

Adaptive searches (TPE) with two workers, each in a store and a folder of its own. Memory is what all processes hold
together at most, shared pages counted once, looked at twice a second. Overhead is the share of the workers' time that went
neither into training nor into evaluation, start-up and slots that stand empty at the end included. Every size is searched once.
"""

from __future__ import annotations

from typing import Any

from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.estimate import epoch_seconds, start_seconds
from benchmarks.machine import source_digest
from benchmarks.race import OURS
from benchmarks.record import Record, Run, digits
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.searching import How, Searched, search
from prunesearch.engines import EngineSpec
from prunesearch.schedules.markdown import table
from prunesearch.training.snapshots import SnapshotStore

NAME = "growth"
_QUICK = (3, 6)
_SHARED = 0.6
"""The share of epochs that is trained, for the estimate only."""
MEMORY = (
    f"Every worker keeps at most {SnapshotStore.memory >> 20} MiB of snapshots in memory, and all together "
    f"{EngineSpec.stage_budget >> 30} GiB on disk (`--stage-budget`)."
)
"""What bounds what grows with the trials."""


def main() -> None:
    """Measure and publish."""
    made = parser(__doc__)
    made.add_argument("--trials", type=int, nargs="+", default=[8, 24, 72, 216])
    args = made.parse_args()
    wanted = asked(NAME, args, ["lenet300"])
    todo = [(s, n) for s in wanted.scenarios for n in (_QUICK if wanted.quick else args.trials)]
    left = [t for t in todo if wanted.record.find(**_key(*t)) is None]
    announce(f"{len(left)} of {len(todo)} searches", sum(_seconds(wanted, s, n) for s, n in left))
    for scenario, trials in left:
        how = How(trials=trials, watch_memory=True, data_dir=wanted.data_dir)
        figures = figures_of(search(scenario, (), how))
        wanted.record.add(_key(scenario, trials), figures)
        print(f"{scenario.name}, {trials} trials: {figures['seconds']:.1f} s", flush=True)
    print(wanted.record.publish(report(wanted.record)))


def figures_of(found: Searched) -> dict[str, Any]:
    """What a search cost."""
    sizes = {"peak": found.peak, "store": found.store_bytes, "stages": found.stage_bytes}
    return {"seconds": found.wall, "trained": found.trained, "asked": found.asked, "run": found.run, **sizes}


def _key(scenario: Scenario, trials: int) -> dict[str, Any]:
    return {"scenario": scenario.name, "trials": trials, "code": source_digest(*OURS)}


def _seconds(wanted: Asked, scenario: Scenario, trials: int) -> float:
    return start_seconds() + trials * scenario.epochs * _SHARED * epoch_seconds("expert", scenario, wanted.data_dir) / 2


def report(record: Record) -> str:
    """One table per scenario on record."""
    head = ["trials", "seconds", "s per trial", "epochs trained / asked", "ask, ms", "store, ms", "overhead"]
    head += ["memory, MiB", "store, MiB", "stages, MiB"]
    parts = []
    for scenario in SCENARIOS.values():
        runs = sorted((r for r in record.runs if r["scenario"] == scenario.name), key=lambda r: int(r["trials"]))
        if runs:
            about = f"{scenario.about}; {scenario.epochs} epochs; one run each. {MEMORY}"
            parts += [f"### {scenario.name}\n\n{about}", table(head, [_row(run) for run in runs])]
    return "\n\n".join(parts)


def _row(run: Run) -> list[str]:
    trials, spent = int(run["trials"]), run["run"]["spent"]
    shared = f"{run['trained']} / {run['asked']} ({run['trained'] / run['asked']:.2f})"
    each = [f"{1e3 * spent.get(what, 0.0) / trials:.0f}" for what in ("ask", "store")]
    overhead = f"{run['run']['overhead']:.1%}"
    sizes = [digits(run[what] / 2**20) for what in ("peak", "store", "stages")]
    return [str(trials), f"{run['seconds']:.1f}", digits(run["seconds"] / trials), shared, *each, overhead, *sizes]


if __name__ == "__main__":
    main()

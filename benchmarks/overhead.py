"""What a search costs beside training and evaluation.

    python -m benchmarks overhead --data-dir DIR [--trials 60]

First the share of the workers' time that went neither into training nor into evaluation, in an adaptive search on real
data with latency as third objective: start-up, waiting, the driver, and slots that stand empty at the end. What latency
costs, measuring it and the other worker's making way, stands beside it. Then the driver
alone: seconds per proposal and per result written, with few and with many parameters, against trials that take no time
(engine `fake`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.estimate import epoch_seconds, start_seconds
from benchmarks.machine import source_digest
from benchmarks.race import OURS
from benchmarks.record import Record, Run, middle
from benchmarks.searching import How, search
from prunesearch.engines import EngineSpec, open_engine
from prunesearch.schedules.markdown import table
from prunesearch.search import events
from prunesearch.search.driver import run_search
from prunesearch.spec import StudySpec
from prunesearch.store import Store

NAME = "overhead"
_WORDS = {"schedule_type": "magnitude_percentage", "criterion": "l1", "recovery": "keep", "lr_restart": False, "ramp": "cubic"}
_OPEN = {"criterion": ["l1", "l2"], "lr_restart": [False, True], "ramp": ["linear", "cubic"]}
DRIVERS: dict[str, dict[str, Any]] = {
    "few": {
        "task": "mnist-lenet300",
        "space": {**_WORDS, "granularity": ["weight", "neuron"], "scope": ["layer", "global"]},
    },
    "many": {
        "task": "cifar10-resnet56",
        "space": {**_WORDS, **_OPEN, "granularity": "filter", "scope": "ratios"},
        "tie_ratios": False,
    },
}
"""Studies of few and of many parameters; how many there are is read from the search itself."""


_PARTS = {
    "of it within trials": ("select", "cut", "other"),
    "of it waiting for epochs": ("wait",),
    "beside it: latency": ("latency",),
}
"""Columns: what a search noted of its trials."""


def main() -> None:
    """Measure and publish."""
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=60, help="of the search on real data")
    made.add_argument("--asked", type=int, default=100, help="trials of the driver alone")
    args = made.parse_args()
    wanted = asked(NAME, args, ["lenet300"])
    trials, count = (4, 10) if wanted.quick else (args.trials, args.asked)
    todo = [{"scenario": s.name, "trials": trials, "repeat": r} for s in wanted.scenarios for r in range(wanted.repeats)]
    todo += [{"driver": d, "trials": count, "repeat": r} for d in DRIVERS for r in range(wanted.repeats)]
    code = source_digest(*OURS)
    left = [key for key in todo if wanted.record.find(**key, code=code) is None]
    announce(f"{len(left)} of {len(todo)} searches", sum(_seconds(wanted, key) for key in left))
    for key in left:
        wanted.record.add({**key, "code": code}, measured(key, wanted))
        print(", ".join(str(v) for v in key.values()), flush=True)
    print(wanted.record.publish(report(wanted.record)))


def measured(key: dict[str, Any], wanted: Asked) -> dict[str, Any]:
    """One search, on real data or of the driver alone."""
    if "driver" in key:
        return driver_alone(DRIVERS[key["driver"]], int(key["trials"]))
    scenario = next(s for s in wanted.scenarios if s.name == key["scenario"])
    how = How(trials=int(key["trials"]), objectives=("accuracy", "params", "latency_ms"), data_dir=wanted.data_dir)
    found = search(scenario, (), how)
    return {"seconds": found.wall, "run": found.run}


def driver_alone(study: dict[str, Any], trials: int) -> dict[str, Any]:
    """A search in which trials take no time: dimensions of the space, and what the driver spent on what."""
    spec = StudySpec.parse({"name": "driver", "trials": trials, "epochs": 20, "engine": "fake", **study})
    told: list[events.Event] = []
    how = EngineSpec(spec.task, spec.epochs, workers=2)
    with (
        tempfile.TemporaryDirectory() as name,
        open_engine("fake", how) as engine,
        Store.open(f"sqlite:///{Path(name) / 'store.db'}", write=True) as store,
    ):
        found = run_search(spec, store, engine, listener=told.append, home=name)
    started = next(event for event in told if isinstance(event, events.SearchStarted))
    return {"seconds": found.seconds, "dimensions": started.dimensions, "spent": found.spent}


def _seconds(wanted: Asked, key: dict[str, Any]) -> float:
    if "driver" in key:
        return 0.2 * int(key["trials"])
    scenario = next(s for s in wanted.scenarios if s.name == key["scenario"])
    return start_seconds() + int(key["trials"]) * scenario.epochs * epoch_seconds("expert", scenario, wanted.data_dir) / 3


def report(record: Record) -> str:
    """Both tables."""
    sizes = sorted({(r["scenario"], r["trials"]) for r in record.runs if "scenario" in r})
    rows = [_searched([r for r in record.runs if (r.get("scenario"), r["trials"]) == size]) for size in sizes]
    head = ["search", "trials", "runs", "seconds", "outside training and evaluation", *_PARTS]
    alone = [_driven([r for r in record.runs if r.get("driver") == d]) for d in DRIVERS]
    return "\n\n".join(
        [
            "Share of the workers' time, two workers, latency as third objective:",
            table(head, rows),
            "The driver alone, SQLite, TPE, milliseconds per trial:",
            table(["parameters", "trials", "runs", "ask", "store and tell", "all"], [row for row in alone if row]),
        ]
    )


def _searched(runs: Sequence[Run]) -> list[str]:
    """One row: medians over searches of equal size."""
    seconds = middle([run["seconds"] for run in runs])
    shares = [[run["run"]["overhead"] for run in runs], *([_share(run["run"], of) for run in runs] for of in _PARTS.values())]
    return [runs[0]["scenario"], str(runs[0]["trials"]), str(len(runs)), seconds, *(f"{median(v):.1%}" for v in shares)]


def _share(run: Run, of: Sequence[str]) -> float:
    spent: float = sum(run["spent"].get(f"trial_{what}", 0.0) for what in of)
    return spent / (2 * float(run["seconds"]))


def _driven(runs: Sequence[Run]) -> list[str]:
    if not runs:
        return []
    trials = int(runs[0]["trials"])
    each = [middle([1e3 * r["spent"].get(what, 0.0) / trials for r in runs]) for what in ("ask", "store")]
    whole = middle([1e3 * r["seconds"] / trials for r in runs])
    return [str(runs[0]["dimensions"]), str(trials), str(len(runs)), *each, whole]


if __name__ == "__main__":
    main()

"""Where the time of one search goes, and which share of the processor's own rate training reaches.

    python -m benchmarks breakdown --data-dir DIR

The committed list of policies with latency as third objective. What is divided is the workers' time: slots x wall time.
Training, validation, selection, cuts, latency and waiting are read from the workers' own clocks; whether a slot had a
job from when jobs were handed over and came back. While a slot is empty the driver either proposes or writes (its own
stopwatch says in which proportion) or there is nothing to do. What no clock has seen is told as such: under 3 %.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.estimate import epoch_seconds, start_seconds
from benchmarks.machine import source_digest
from benchmarks.race import OURS
from benchmarks.record import Record, Run, counted, days, newest
from benchmarks.scenarios import ROOT, SCENARIOS, Scenario, distinct_epochs, listed
from benchmarks.searching import How, study_of
from prunesearch.engines import EngineSpec, open_engine
from prunesearch.engines.base import Engine
from prunesearch.results import Job, Outcome, TaskInfo
from prunesearch.schedules.markdown import table
from prunesearch.search.driver import run_search
from prunesearch.search.outcome import SearchOutcome
from prunesearch.spec import StudySpec
from prunesearch.store import Store

NAME = "breakdown"
WORKERS = 2
PARTS = {
    "start-up": "until the first job: processes, imports, data",
    "train": "training epochs",
    "validate": "accuracy after every epoch, and on the test split",
    "select": "scoring, selecting, masks",
    "cut": "physical cuts and their proof",
    "latency": "measuring it, and making way while the other worker does",
    "wait": "for an epoch that the other worker trains",
    "other": "within trials: fresh networks, snapshots, counting",
    "sampler": "slots that stand empty while a policy is proposed",
    "store": "slots that stand empty while results are written",
    "idle": "slots that stand empty for want of a job",
}
"""What the workers' time is divided into."""


@dataclass
class Watched:
    """An engine whose jobs are timed on their way.

    Args:
        engine: the one that works.

    Attributes:
        empty_waiting: slot-seconds without a job while the driver waited for an outcome.
        empty_driving: slot-seconds without a job while the driver did something else.
        spent: what jobs spent, by the clocks of their workers.
        dense: what the dense reference spent on training.
        started: when the first job was handed over.
    """

    engine: Engine
    empty_waiting: float = 0.0
    empty_driving: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    dense: float = 0.0
    started: float | None = None
    _held: int = 0
    _looked: float = 0.0

    @property
    def slots(self) -> int:
        """Of the engine."""
        return self.engine.slots

    def describe(self) -> TaskInfo:
        """Of the engine."""
        return self.engine.describe()

    def submit(self, job: Job) -> None:
        """Hand a job over."""
        self.empty_driving += self._empty()
        self.started = self.started or self._looked
        self._held += 1
        self.engine.submit(job)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Wait for an outcome."""
        self.empty_driving += self._empty()
        outcome = self.engine.next(timeout)
        self.empty_waiting += self._empty()
        if outcome is not None:
            self._held -= 1
            self._add(outcome)
        return outcome

    def close(self) -> None:
        """Of the engine."""
        self.engine.close()

    def __enter__(self) -> Self:
        self.engine.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.engine.__exit__(kind, error, trace)

    def _empty(self) -> float:
        """Slot-seconds without a job since the last look."""
        before, self._looked = self._looked, perf_counter()
        return (self._looked - before) * max(0, self.slots - self._held) if self.started is not None else 0.0

    def _add(self, outcome: Outcome) -> None:
        if outcome.result is None:
            return
        timings = asdict(outcome.result.timings)
        self.spent = {name: self.spent.get(name, 0.0) + seconds for name, seconds in timings.items()}
        if outcome.job.policy is None:
            self.dense = timings["train"]


def main() -> None:
    """Measure and publish."""
    args = parser(__doc__).parse_args()
    wanted = asked(NAME, args, ["lenet300"])
    code = source_digest(*OURS)
    todo: list[dict[str, Any]] = [
        {"scenario": s.name, "repeat": r, "code": code} for s in wanted.scenarios for r in range(wanted.repeats)
    ]
    left = [key for key in todo if wanted.record.find(**key) is None]
    announce(f"{len(left)} of {len(todo)} searches", sum(_seconds(wanted, key["scenario"]) for key in left))
    for key in left:
        scenario = next(s for s in wanted.scenarios if s.name == key["scenario"])
        figures = measured(scenario, wanted)
        wanted.record.add(key, figures)
        print(f"{scenario.name} {key['repeat']}: {figures['seconds']:.1f} s", flush=True)
    print(wanted.record.publish(report(wanted.record), newest(wanted.record.runs)))


def measured(scenario: Scenario, wanted: Asked) -> dict[str, Any]:
    """One search, with this process as its driver."""
    how = How(objectives=("accuracy", "params", "latency_ms"), data_dir=wanted.data_dir)
    spec = StudySpec.parse(study_of(scenario, listed(scenario, quick=wanted.quick), how))
    with tempfile.TemporaryDirectory(prefix="prunesearch-bench-") as folder:
        began = perf_counter()
        engine_spec = EngineSpec(
            spec.task, spec.epochs, spec.seed, "cpu", WORKERS, wanted.data_dir, stages=str(Path(folder) / "stages")
        )
        with (
            Store.open(f"sqlite:///{Path(folder) / 'store.db'}", write=True) as store,
            Watched(open_engine("process", engine_spec)) as engine,
        ):
            found = run_search(spec, store, engine, home=folder, shared=True)
            info = engine.describe()
            ended = perf_counter()
    parts = divided(engine, found, began, ended)
    train = {"dense_train": engine.dense, "steps": -(-info.sizes[0] // scenario.batch_size) * scenario.epochs}
    return {"seconds": ended - began, "parts": parts, **train, **_flops(scenario, info.input_shape)}


def divided(engine: Watched, found: SearchOutcome, began: float, ended: float) -> dict[str, float]:
    """Slot-seconds by what they went into; together with what no clock saw they are slots x wall time."""
    ask, write = found.spent.get("ask", 0.0), found.spent.get("store", 0.0)
    share = ask / (ask + write) if ask + write else 0.0
    start = ((engine.started or ended) - began) * engine.slots
    driving = {"sampler": engine.empty_driving * share, "store": engine.empty_driving * (1 - share)}
    return {"start-up": start, **engine.spent, **driving, "idle": engine.empty_waiting}


def _flops(scenario: Scenario, shape: Sequence[int]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.flops", scenario.name, "--shape", *map(str, shape)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _seconds(wanted: Asked, name: str) -> float:
    known = wanted.record.find(scenario=name)
    if known:
        return float(known["seconds"])
    scenario = next(s for s in wanted.scenarios if s.name == name)
    epochs = distinct_epochs(listed(scenario, quick=wanted.quick), scenario.epochs)
    return start_seconds() + epochs * epoch_seconds("expert", scenario, wanted.data_dir) / WORKERS


def report(record: Record) -> str:
    """One table per scenario on record, of its newest code's search whose wall time is the median."""
    parts, newer = [], newest(record.runs)
    for scenario in SCENARIOS.values():
        runs = sorted((r for r in newer if r["scenario"] == scenario.name), key=lambda r: float(r["seconds"]))
        if runs:
            which = counted(len(runs), "search", "searches, the one of median length")
            parts.append(f"### {scenario.name}\n\n{scenario.about}; {which}; {days(runs)}:")
            parts += [_table(runs[len(runs) // 2]), _rate(runs)]
    return "\n\n".join(parts)


def _table(run: Run) -> str:
    had = WORKERS * run["seconds"]
    rows = [[p, about, f"{run['parts'].get(p, 0.0):.2f}", f"{run['parts'].get(p, 0.0) / had:.1%}"] for p, about in PARTS.items()]
    seen = sum(run["parts"].values())
    rows.append(
        ["not seen", "by any clock: hand-over of jobs and outcomes, the end", f"{had - seen:.2f}", f"{1 - seen / had:.1%}"]
    )
    rows.append(["all", f"{WORKERS} workers x {run['seconds']:.1f} s of wall time", f"{had:.2f}", "100.0%"])
    return table(["part", "what it is", "seconds", "share"], rows)


def _rate(runs: Sequence[Run]) -> str:
    rate = median([r["step"] * r["steps"] / r["dense_train"] for r in runs])
    product = median([r["product"] for r in runs])
    return (
        f"Training the dense network does {rate / 1e9:.1f} GFLOP/s on its core, {rate / product:.0%} of the "
        f"{product / 1e9:.1f} GFLOP/s of a 1024 x 1024 matrix product there."
    )


if __name__ == "__main__":
    main()

"""The front of a study in fast numerics, measured again in exact: nothing is chosen by figures that fewer bits have made.

Once all trials have ended, the dense network and every member of the front are trained again in exact numerics, each under
its own policy and seed, and judged anew; what they measure stands beside the trials, which stay as they are. Tickets and the
sampler know nothing of it. A call that is stopped has lost at most what was running; the next one measures what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

from prunesearch.engines.base import LOSSES, Engine
from prunesearch.results import DENSE, Job, Measures, Outcome, Result
from prunesearch.search import events
from prunesearch.search.judge import judge
from prunesearch.search.planner import Latencies, Planner, dense_job, shared_epochs
from prunesearch.search.recorder import Study
from prunesearch.search.signals import StopFlag


def remeasure(study: Study, engine: Engine, planner: Planner, latencies: Latencies, flag: StopFlag) -> None:
    """Measure in exact numerics what of the front is not measured so yet.

    Args:
        study: the study; all its trials have ended.
        engine: who trains.
        planner: makes jobs.
        latencies: what is known of latencies.
        flag: says when to stop.

    Raises:
        Interrupted: a signal came; what was recorded stays.
        StoreError: the database stayed away.
    """
    again = _Again(study, planner, latencies)
    jobs = again.jobs()
    if jobs:
        study.emit(events.Remeasuring(len(jobs)))
    for job in jobs:
        engine.submit(job)
    while again.open:
        with flag.interruptible():
            outcome = engine.next(timeout=1.0)
        if outcome is not None and outcome.job.exact:
            for job in again.take(outcome):
                engine.submit(job)


@dataclass
class _Again:
    """What is being measured again, and what waits to be judged until the dense network is known."""

    study: Study
    planner: Planner
    latencies: Latencies
    open: dict[int, Job] = field(default_factory=dict)
    dense: Measures | None = None
    waiting: list[tuple[int, Result]] = field(default_factory=list)
    losses: Counter[int] = field(default_factory=Counter)
    total: int = 0

    def jobs(self) -> tuple[Job, ...]:
        """What is missing: the dense network first, then those who share the fewest epochs with it."""
        study, store = self.study, self.study.store
        front = study.outbox.patiently(lambda: store.front(study.name))
        known = study.outbox.patiently(lambda: store.exact(study.name))
        self.dense = known[DENSE].measures if DENSE in known else None
        missing = sorted((row for row in front if row.trial not in known), key=lambda row: shared_epochs(row.policy))
        jobs = [self.planner.job(row.trial, row.policy, self.latencies) for row in missing]
        if self.dense is None and len(front):  # its latency is what all ratios of the study refer to: that stays
            jobs.insert(0, replace(dense_job(len(study.dense.epochs), study.spec.seed, study.spec.latency), latency=None))
        self.open = {job.number: replace(job, exact=True) for job in jobs}
        self.total = len(self.open)
        return tuple(self.open.values())

    def take(self, outcome: Outcome) -> Iterable[Job]:
        """Take note of an outcome; what has to be run once more."""
        number, result = outcome.job.number, outcome.final
        if result.outside:  # or a worker that died
            self.losses[number] += 1
            if self.losses[number] < LOSSES:
                return (outcome.job,)
        del self.open[number]
        if number == DENSE and result.measures is not None:
            self._reference(result, result.measures)
        elif number == DENSE or (outcome.result and outcome.result.outside):
            self._left(number, result)
        else:
            self.waiting.append((number, result))
        while self.dense is not None and self.waiting:
            self._record(*self.waiting.pop(0))
        return ()

    def _left(self, number: int, result: Result) -> None:
        """Nothing is said of a network that failed for want of something outside of it, so that it is tried again."""
        who = "the dense network" if number == DENSE else f"trial {number}"
        text = f"{who} could not be trained in exact numerics: {result.reason}; the front's figures stay fast"
        self.study.emit(events.Warned(text, "the same command tries again"))

    def _reference(self, result: Result, measures: Measures) -> None:
        known = self.study.dense.measures
        latency = {f.name: getattr(known, f.name) for f in fields(known) if f.name.startswith("latency_")}
        self.dense = replace(measures, **latency)
        self._write(DENSE, replace(result, measures=self.dense), {}, feasible=True)

    def _record(self, number: int, result: Result) -> None:
        assert self.dense is not None  # take() has looked
        settled, self.latencies = self.planner.settle(result, self.latencies)
        spec = self.study.spec
        verdict = judge(settled, spec.objectives, spec.constraints, self.dense)
        self._write(number, verdict.result, dict(verdict.violations), feasible=verdict.feasible)

    def _write(self, number: int, result: Result, violations: dict[str, float], *, feasible: bool) -> None:
        store, name = self.study.store, self.study.name
        with self.study.watch.timing("store"):
            self.study.outbox.patiently(lambda: store.record_exact(name, number, result, violations, feasible))
        done = self.total - len(self.open) - len(self.waiting)
        self.study.emit(events.Remeasured(None if number == DENSE else number, result, feasible, done, self.total))

"""The dense reference: measured once per study, before anything else.

No trial can begin before it is there, and one worker trains it. Where epochs are shared the others meanwhile train the
first policies to start from, for nothing but their stages: the trials that come later find their epochs trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from prunesearch.engines.base import LOSSES, Engine
from prunesearch.engines.dense import reference_of
from prunesearch.errors import TaskError
from prunesearch.results import DENSE, DenseReference, Job, Outcome, Result
from prunesearch.search import events
from prunesearch.search.events import Listener
from prunesearch.search.judge import unusable
from prunesearch.search.outbox import Outbox
from prunesearch.search.planner import dense_job
from prunesearch.search.signals import StopFlag
from prunesearch.spec import StudySpec
from prunesearch.store import Store


def dense_reference(
    spec: StudySpec,
    store: Store,
    engine: Engine,
    epochs: int,
    flag: StopFlag,
    emit: Listener,
    outbox: Outbox,
    ahead: Sequence[Job] = (),
) -> DenseReference:
    """The dense reference of a study, from the store or measured now; of drivers that measure it at a time, the first one's.

    Args:
        spec: the study.
        store: open for writing.
        engine: who measures it.
        epochs: N.
        flag: says when to stop.
        emit: is told.
        outbox: patience with the store.
        ahead: jobs that the engine also gets; what comes of them is not waited for.

    Raises:
        TaskError: the dense network could not be trained or gave no usable figures.
        EnvironmentFailure: memory or workers gave out.
        StoreError: the database stayed away.
        Interrupted: a signal came.
    """
    known = outbox.patiently(lambda: store.study(spec.name))
    if known.dense is not None:
        emit(events.DenseDone(known.dense, measured=False, seconds=known.dense_seconds))
        return known.dense
    emit(events.DenseStarted())
    began = perf_counter()
    dense = _reference(_measured(spec, engine, epochs, flag, ahead), spec)
    seconds = perf_counter() - began
    first = outbox.patiently(lambda: store.set_dense(spec.name, dense, seconds))
    known = outbox.patiently(lambda: store.study(spec.name))
    settled = known.dense or dense  # all latencies refer to one dense network
    emit(events.DenseDone(settled, measured=first, seconds=known.dense_seconds))
    return settled


def _measured(spec: StudySpec, engine: Engine, epochs: int, flag: StopFlag, ahead: Sequence[Job]) -> Result:
    """The dense network's result; a job whose worker dies is run again, as often as any other."""
    job = dense_job(epochs, spec.seed, spec.latency)
    outcome = _tried(engine, flag, (job, *ahead))
    for _ in range(LOSSES - 1):
        if outcome.result is None:
            outcome = _tried(engine, flag, (job,))
    return outcome.final


def _tried(engine: Engine, flag: StopFlag, jobs: Sequence[Job]) -> Outcome:
    """What becomes of the dense network, the first of the jobs."""
    for job in jobs:
        engine.submit(job)
    while True:
        with flag.interruptible():
            outcome = engine.next(timeout=1.0)
        if outcome is not None and outcome.job.number == DENSE:
            return outcome


def _reference(result: Result, spec: StudySpec) -> DenseReference:
    found = reference_of(result, spec.latency)
    wrong = unusable(found.measures, dict.fromkeys((*spec.objectives, *spec.constraints)))
    if wrong:
        raise TaskError(f"the dense network has no usable figures: {wrong}", "look at the task's recipe and metric")
    return found

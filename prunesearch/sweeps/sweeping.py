"""Runs a sweep on an engine: for every seed the dense network first, then all policies, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunesearch.engines import Engine, EngineSpec, open_engine
from prunesearch.engines.base import LOSSES
from prunesearch.engines.dense import reference_of
from prunesearch.errors import PolicyError, UsageError
from prunesearch.policy import Policy
from prunesearch.results import DENSE, DenseReference, Job, LatencySpec, Outcome, Result, TaskInfo
from prunesearch.sweeps.base import Candidate, DenseMeasured, News, Point, PointMeasured, Started, Sweep

if TYPE_CHECKING:
    from prunesearch.tasks import Task

Candidates = Sequence[Candidate] | Callable[[TaskInfo], Sequence[Candidate]]
"""Points to measure, or what makes them from the task, such as one per group."""


def run_sweep(
    spec: EngineSpec,
    candidates: Candidates,
    seeds: Sequence[int],
    *,
    task: Task | None = None,
    latency: LatencySpec | None = None,
    engine: str = "process",
    listener: Callable[[News], None] | None = None,
) -> Sweep:
    """Measure every candidate with every seed, beside the dense network.

    The split follows `spec.seed`; initial values and data order follow the job's seed. All candidates of a seed share
    their dense epochs where `spec.stages` is set, and a sweep that was interrupted goes on from what it trained.

    Args:
        spec: what to run on what.
        candidates: the points, or a function that makes them once the task is known.
        seeds: each a network of its own; at least one.
        task: a task of this process, for engine `serial`.
        latency: how latency is measured; None: not at all.
        engine: who runs it.
        listener: is told what happens.

    Returns:
        The sweep; a policy that failed, or left no usable network, is a point with its reason.

    Raises:
        UsageError: no seeds, a seed twice, or no candidates.
        PolicyError: a policy was made for other epochs than the sweep has, and no weights are given.
        TaskError: the task does not load, or its dense network cannot be trained.
        EnvironmentFailure: data, device, memory or workers are missing.
    """
    with open_engine(engine, spec, task=task) as runs:
        return sweep_on(runs, spec.task, candidates, seeds, latency=latency, listener=listener)


def sweep_on(
    engine: Engine,
    task: str,
    candidates: Candidates,
    seeds: Sequence[int],
    *,
    latency: LatencySpec | None = None,
    listener: Callable[[News], None] | None = None,
) -> Sweep:
    """`run_sweep` on an engine that is open already; `task` is what the sweep calls it.

    Raises:
        PrunesearchError: as `run_sweep`.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"a sweep needs seeds that differ, got {list(seeds)}", "seeds=(0, 1, 2)")
    info = engine.describe()
    wanted = candidates(info) if callable(candidates) else candidates
    run = _Run(engine, info.epochs, latency, listener or _unheard, _distinct(wanted, info))
    run.all(info, tuple(seeds))
    return Sweep(task, info, info.epochs, tuple(seeds), run.dense, tuple(run.points(wanted, seeds)))


def _distinct(candidates: Sequence[Candidate], info: TaskInfo) -> dict[str, Candidate]:
    """Digest -> the first candidate with that policy; the dense network is no job of its own.

    Given weights are judged as they are, whatever N, so policies may then have epochs of their own.
    """
    if not candidates:
        raise UsageError("a sweep needs at least one point", "name levels, such as 0.5,0.8,0.9")
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.policy is None:
            continue
        if candidate.policy.epochs != info.epochs and not info.weights_given:
            told = f"'{candidate.series}' was made for {candidate.policy.epochs} epochs, the sweep has {info.epochs}"
            raise PolicyError(told, "rescale it: policy.rescaled(epochs)")
        first.setdefault(candidate.policy.digest, candidate)
    return first


@dataclass
class _Run:
    """A sweep in the making."""

    engine: Engine
    epochs: int
    latency: LatencySpec | None
    tell: Callable[[News], None]
    candidates: Mapping[str, Candidate]
    dense: dict[int, Result] = field(default_factory=dict)
    found: dict[tuple[str, int], Result] = field(default_factory=dict)
    losses: dict[tuple[int, int], int] = field(default_factory=dict)

    def all(self, info: TaskInfo, seeds: tuple[int, ...]) -> None:
        """Run every job. A seed's policies are queued when its dense network, which they are judged against, is there."""
        jobs = len(seeds) * (1 + len(self.candidates))
        self.tell(Started(info, jobs, self.engine.slots))
        for seed in seeds:
            self.engine.submit(Job(DENSE, None, self.epochs, seed, self.latency, losses=True))
        while self.done < jobs:
            outcome = self.engine.next()
            if outcome is None:
                continue
            if outcome.result is None and self._again(outcome):
                continue
            self._take(outcome.job, outcome.final)

    @property
    def done(self) -> int:
        """Jobs that are finished."""
        return len(self.dense) + len(self.found)

    def points(self, candidates: Sequence[Candidate], seeds: Sequence[int]) -> list[Point]:
        """All points, in the order in which they were asked for."""
        return [self._point(candidate, seed) for candidate in candidates for seed in seeds]

    def _point(self, candidate: Candidate, seed: int) -> Point:
        policy = candidate.policy
        result = self.dense[seed] if policy is None else self.found[policy.digest, seed]
        return Point(candidate.series, candidate.level, seed, result, policy)

    def _again(self, outcome: Outcome) -> bool:
        """Queue a job again whose worker died, unless it has cost too many workers."""
        job = outcome.job
        self.losses[job.number, job.seed] = lost = self.losses.get((job.number, job.seed), 0) + 1
        if lost < LOSSES:
            self.engine.submit(job)
        return lost < LOSSES

    def _take(self, job: Job, result: Result) -> None:
        if job.policy is None:
            self.dense[job.seed] = result
            self._queue(job.seed, reference_of(result, self.latency or LatencySpec()))
            self.tell(DenseMeasured(job.seed, result, self.done))
            return
        digest = job.policy.digest
        self.found[digest, job.seed] = result
        self.tell(PointMeasured(self._point(self.candidates[digest], job.seed), self.done))

    def _queue(self, seed: int, dense: DenseReference) -> None:
        for number, candidate in enumerate(self.candidates.values()):
            self.engine.submit(Job(number, _policy(candidate), _policy(candidate).epochs, seed, self.latency, dense, losses=True))


def _policy(candidate: Candidate) -> Policy:
    assert candidate.policy is not None  # _distinct() has left the dense ones out
    return candidate.policy


def _unheard(_news: News) -> None:
    """Nobody listens."""

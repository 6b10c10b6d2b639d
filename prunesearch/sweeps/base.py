"""What a sweep is asked, what it measures, and what it tells meanwhile. Plain data; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunesearch.policy import Policy
from prunesearch.results import Result, TaskInfo


@dataclass(frozen=True)
class Candidate:
    """One point that is asked for.

    Args:
        series: the line that it belongs to, as a legend tells it.
        level: where it lies on that line, as asked: a fraction in [0, 1).
        policy: what is run; None: the dense network.
    """

    series: str
    level: float
    policy: Policy | None


@dataclass(frozen=True)
class Point:
    """One point that was measured, with one seed.

    Args:
        series: as in the candidate.
        level: as in the candidate.
        seed: of initial values, data order and draws.
        result: what came out; a point that failed or is infeasible says why in `result.reason`.
        policy: as in the candidate.
    """

    series: str
    level: float
    seed: int
    result: Result
    policy: Policy | None = None


@dataclass(frozen=True)
class Sweep:
    """All points of a sweep.

    Args:
        task: the task's reference.
        info: what the task is.
        epochs: N, of the dense network and of every policy.
        seeds: the seeds.
        dense: the dense network, per seed.
        points: one per candidate and seed: by candidate in the order asked, then by seed.
    """

    task: str
    info: TaskInfo
    epochs: int
    seeds: tuple[int, ...]
    dense: Mapping[int, Result]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Started:
    """The task is loaded: `jobs` networks are measured, dense ones included, `at_once` at a time."""

    info: TaskInfo
    jobs: int
    at_once: int


@dataclass(frozen=True)
class DenseMeasured:
    """The dense network of a seed is there; `done` of all jobs are."""

    seed: int
    result: Result
    done: int


@dataclass(frozen=True)
class PointMeasured:
    """A policy was tried with a seed; `done` of all jobs are. Candidates with the same policy are one job."""

    point: Point
    done: int


News = Started | DenseMeasured | PointMeasured
"""What a listener is told."""

"""What a search tells whoever listens: plain data, one class per kind of news.

A listener is any callable that takes an event. It is called in the driver's thread, between two steps of the search,
and should return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from prunesearch.policy import Policy
from prunesearch.results import DenseReference, Result, TaskInfo


@dataclass(frozen=True)
class SearchStarted:
    """The study is open and reconciled.

    Args:
        study: its name.
        total: trials that it shall have.
        done: trials that it has already.
        resumed: whether it was in the store before.
        slots: trials that run at a time.
        objectives: measure -> "maximize" or "minimize".
        info: what the task is.
        dimensions: searched parameters of the branch that has most.
    """

    study: str
    total: int
    done: int
    resumed: bool
    slots: int
    objectives: dict[str, str]
    info: TaskInfo
    dimensions: int


@dataclass(frozen=True)
class DenseStarted:
    """The dense reference is being trained or evaluated."""


@dataclass(frozen=True)
class DenseDone:
    """The dense reference is known. `measured` is False where it came from the store; `seconds` is its wall time."""

    dense: DenseReference
    measured: bool
    seconds: float | None


@dataclass(frozen=True)
class TrialStarted:
    """A trial was handed to the engine. `again`: it had been started before and never finished."""

    number: int
    ticket: int
    policy: Policy
    again: bool = False


@dataclass(frozen=True)
class TrialFinished:
    """A trial is in the store.

    Args:
        number: the trial.
        policy: what was run.
        result: what came out; its latency is the one that was told to the sampler.
        feasible: whether it is complete and within all constraints.
        violations: per constrained measure how far it is beyond its bound; zero or less is within.
        done: trials finished so far.
        total: trials that the study shall have.
    """

    number: int
    policy: Policy
    result: Result
    feasible: bool
    violations: dict[str, float] = field(default_factory=dict)
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class TrialFailed:
    """A trial ended without measures: an exception, a number that is not finite, out of memory, a dead worker."""

    number: int
    policy: Policy
    reason: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Duplicate:
    """The sampler proposed a policy that trial `of` had run already; it was answered from the store."""

    number: int
    of: int
    ticket: int


@dataclass(frozen=True)
class FrontChanged:
    """The Pareto front after trial `after`: its members in order of their numbers, and its hypervolume."""

    after: int
    members: tuple[int, ...]
    hypervolume: float | None


@dataclass(frozen=True)
class Remeasuring:
    """All trials of a study in fast numerics have ended; so many networks are now trained again in exact."""

    count: int


@dataclass(frozen=True)
class Remeasured:
    """A network was trained again in exact numerics.

    Args:
        number: its trial; None: the dense network.
        result: what came out.
        feasible: whether it is complete and within all constraints.
        done: how many are done.
        total: how many there are.
    """

    number: int | None
    result: Result
    feasible: bool
    done: int
    total: int


@dataclass(frozen=True)
class Warned:
    """Something a person should know; the search goes on."""

    text: str
    hint: str | None = None


@dataclass(frozen=True)
class SearchEnded:
    """No trial is running any more.

    Args:
        study: its name.
        done: trials finished.
        total: trials that it shall have.
        stopped: None when all is done; else `timeout`, `interrupt`, `terminate` or `exhausted`.
        seconds: wall time of this call.
        overhead: share of the slots' time spent neither in training nor in evaluation, None when no trial was run.
    """

    study: str
    done: int
    total: int
    stopped: str | None
    seconds: float
    overhead: float | None


Event = (
    SearchStarted
    | DenseStarted
    | DenseDone
    | TrialStarted
    | TrialFinished
    | TrialFailed
    | Duplicate
    | FrontChanged
    | Remeasuring
    | Remeasured
    | Warned
    | SearchEnded
)
Listener = Callable[[Event], None]


def deaf(event: Event) -> None:
    """The listener of a search that nobody watches."""

"""What the store hands out: frozen plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from prunesearch.policy import Policy
from prunesearch.results import DenseReference, EpochRow, LayerRow, Measures, Result, State, TaskInfo, Timings

TrialState = Literal["running", "complete", "infeasible", "failed", "stopped", "lost"]

ENDED: Final[tuple[State, ...]] = get_args(State)
"""States of a trial that has a result."""


@dataclass(frozen=True)
class StudyRecord:
    """A study as it is stored.

    Args:
        id: its number in this database.
        name: its name, the same as in Optuna's tables.
        spec: the resolved definition, which `StudySpec.parse` reads back.
        info: what the task is, None until an engine has told.
        dense: the dense reference, None until it was measured.
        dense_seconds: wall time that it took, in seconds.
        code_version: version of prunesearch that made it.
        environment: versions, machine and device that made it.
        created_at: UTC, ISO 8601.
        active_at: when something was last written for it, UTC, ISO 8601.
    """

    id: int
    name: str
    spec: Mapping[str, Any]
    info: TaskInfo | None
    dense: DenseReference | None
    dense_seconds: float | None
    code_version: str
    environment: Mapping[str, Any]
    created_at: str
    active_at: str


@dataclass(frozen=True)
class Ticket:
    """The right to run one trial of a study.

    Args:
        id: its number in this database.
        number: 0-based, below the study's total; seeds the sampler.
        state: `open` (given back), `taken` or `done`.
        owner: the driver that holds it, None when open, or taken in the study that this one was copied from.
        trial: number of the trial that is run for it, once there is one.
    """

    id: int
    number: int
    state: Literal["open", "taken", "done"] = "taken"
    owner: str | None = None
    trial: int | None = None


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it is stored. `ticket` is the ticket's number; times are UTC in ISO 8601.

    `epochs` and `layers` are filled by `Store.trial` and empty from the methods that list many.
    """

    number: int
    state: TrialState
    policy: Policy
    digest: str
    seed: int
    ticket: int | None = None
    measures: Measures | None = None
    feasible: bool | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    confirmed: Mapping[str, Any] | None = None
    signature: str = ""
    device: str = ""
    reason: str | None = None
    trace: str | None = None
    notes: tuple[str, ...] = ()
    latency_shared: bool = False
    kept_in: str | None = None
    epochs_trained: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    started_at: str = ""
    finished_at: str | None = None
    epochs: tuple[EpochRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()

    @property
    def result(self) -> Result | None:
        """The result that was recorded, None while there is none (running or lost)."""
        if self.state not in ENDED:
            return None
        return Result(
            state=self.state,
            measures=self.measures,
            epochs=self.epochs,
            layers=self.layers,
            signature=self.signature,
            reason=self.reason,
            trace=self.trace,
            notes=self.notes,
            device=self.device,
            timings=self.timings,
            latency_shared=self.latency_shared,
            kept_in=self.kept_in,
            epochs_trained=self.epochs_trained,
            report=self.report,
        )


@dataclass(frozen=True)
class ExactRecord:
    """A network that was found in fast numerics and trained again in exact.

    Args:
        number: the trial; -1: the dense network.
        result: what came out, without epochs.
        feasible: whether it is complete and satisfies all constraints.
        violations: per constrained measure how far it is beyond its bound; zero or less is within.
        finished_at: when it was written, UTC, ISO 8601.
    """

    number: int
    result: Result
    feasible: bool
    violations: Mapping[str, float]
    finished_at: str

    @property
    def measures(self) -> Measures | None:
        """Its figures."""
        return self.result.measures


@dataclass(frozen=True)
class FrontRecord:
    """The front as it was after a trial: `members` are trial numbers, `hypervolume` as `Front.hypervolume`."""

    after_trial: int
    members: tuple[int, ...]
    hypervolume: float | None
    recorded_at: str

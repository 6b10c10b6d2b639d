"""`Memory`: the Optuna study beside our tables. It is what samplers learn from and what the dashboard shows.

How results are told: measured trials are COMPLETE, infeasible ones too, with a positive constraint that says how far off
they are, so that samplers learn from them; a trial without figures, or with one that is not finite, is FAIL (Optuna
accepts infinity as COMPLETE, which poisons every later hypervolume). Optuna's `study.tell` and `Trial` are all that is
used; heartbeats are recorded by us, since Optuna does that only inside `study.optimize`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from prunesearch.errors import StoreError, StudyError, first_line
from prunesearch.policy import Policy
from prunesearch.search.mirror import Mirror
from prunesearch.search.space import SearchSpace

DUPLICATE = "duplicate"
"""User attribute of an Optuna trial that was answered from the store: `{"of": trial, "ticket": number}`."""


BEAT_SECONDS, GRACE_SECONDS = 60, 180
"""A heartbeat is recorded so often, and missing for so long ends a trial; shorter ones have killed live trials."""


@dataclass(frozen=True)
class Asked:
    """A proposal: the trial's number in the study, and the policy that it stands for."""

    number: int
    policy: Policy


class Memory:
    """One study in Optuna's tables.

    Args:
        storage: built by the store's factory; heartbeats are switched on here.
        name: the study's name, the same as in our tables.
        directions: objective -> maximize or minimize.

    Raises:
        StudyError: Optuna has a study of that name with other objectives.
    """

    def __init__(self, storage: RDBStorage, name: str, directions: Mapping[str, Literal["maximize", "minimize"]]) -> None:
        storage.heartbeat_interval, storage.grace_period = BEAT_SECONDS, GRACE_SECONDS
        self._storage = storage
        self.objectives = tuple(directions)
        self._mirror = Mirror(directions.values())
        self._keys: dict[int, int] = {}
        with told():
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=list(directions.values()),
                sampler=RandomSampler(seed=0),
                load_if_exists=True,
            )
            self._id = storage.get_study_id_from_name(name)
            self._check(name, directions)
            if self._study.metric_names is None:
                self._study.set_metric_names(list(directions))

    def _check(self, name: str, directions: Mapping[str, str]) -> None:
        ways = _ways(self._study.directions)
        if ways != list(directions.values()):
            raise StudyError(
                f"Optuna's study '{name}' has other objectives ({', '.join(ways)})", "give the study another name: --as NEW"
            )

    def ask(self, space: SearchSpace, sampler: BaseSampler) -> Asked:
        """A new trial with a policy proposed by `sampler`, and its first heartbeat."""
        with told():
            trials = self._trials()
            self._mirror.learn(trials)
            running = [t for t in trials if t.state == TrialState.RUNNING]
            found, policy = self._mirror.propose(space, sampler, running)
            key = self._storage.create_new_trial(self._id, template_trial=found)
            self._storage.record_heartbeat(key)
            number = self._storage.get_trial(key).number
            self._keys[number] = key
            return Asked(number, policy)

    def tell(self, number: int, values: Sequence[float | None], violations: Mapping[str, float], sampler: BaseSampler) -> bool:
        """Say what a trial measured. False, and the trial is FAIL, where a value is missing or not finite.

        A trial that has ended already, such as one whose heartbeat was missed, stays as it is.

        Args:
            number: the trial.
            values: its objectives in their order.
            violations: constraints by name; a positive one makes the trial infeasible.
            sampler: who takes note of it (NSGA-II and GP look at finished trials).
        """
        usable = [float(v) for v in values if v is not None and isfinite(v)]
        if len(usable) < len(self.objectives) or not all(isfinite(v) for v in violations.values()):
            self.fail(number)
            return False
        with told(), suppress(UpdateFinishedTrialError):
            if violations:
                self._study.sampler = RandomSampler(seed=0)  # building a Trial would let any other one draw
                trial = Trial(self._study, self._key(number))
                for name, amount in violations.items():
                    trial.set_constraint(name, amount)
            self._study.sampler = sampler
            self._study.tell(number, usable, skip_if_finished=True)
        return True

    def fail(self, number: int) -> None:
        """End a trial without values; samplers ignore it. One that has ended already stays as it is."""
        with told(), suppress(UpdateFinishedTrialError):
            self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def note_duplicate(self, number: int, of: int, ticket: int) -> None:
        """Note that a trial's policy is that of trial `of`, before it is told the same values; not where it has ended."""
        with told(), suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._key(number), DUPLICATE, {"of": of, "ticket": ticket})

    def duplicates(self, ticket: int) -> int:
        """How many duplicates were answered under a ticket so far."""
        with told():
            return sum(t.user_attrs.get(DUPLICATE, {}).get("ticket") == ticket for t in self._trials())

    def unfinished(self) -> tuple[int, ...]:
        """Trials that were asked and not told yet."""
        with told():
            return tuple(t.number for t in self._trials(TrialState.RUNNING))

    def failed(self) -> tuple[int, ...]:
        """Trials that ended without values."""
        with told():
            return tuple(t.number for t in self._trials(TrialState.FAIL))

    def beat(self, numbers: Iterable[int]) -> None:
        """Record that these trials are alive."""
        with told():
            for number in numbers:
                self._storage.record_heartbeat(self._key(number))

    def fail_stale(self) -> None:
        """End the trials of drivers whose heartbeat has stopped."""
        with told():
            fail_stale_trials(self._study)

    def note_run(self, run: Mapping[str, Any]) -> None:
        """Add to the study's user attribute `runs`, one entry per call of the search: where its time went."""
        with told():
            self._study.set_user_attr("runs", [*self._study.user_attrs.get("runs", []), dict(run)])

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _key(self, number: int) -> int:
        """A trial's key in Optuna's tables."""
        if number not in self._keys:
            self._keys[number] = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return self._keys[number]


def study_exists(storage: RDBStorage, name: str, directions: Mapping[str, str]) -> bool:
    """Whether Optuna's tables hold a study of that name that has trials already, or other objectives."""
    with told():
        found = [s for s in optuna.get_all_study_summaries(storage) if s.study_name == name]
    return any(s.n_trials > 0 or _ways(s.directions) != list(directions.values()) for s in found)


def _ways(directions: Iterable[StudyDirection]) -> list[str]:
    return [d.name.lower() for d in directions]


@contextmanager
def told() -> Iterator[None]:
    """Optuna's database errors as StoreError, and without the warnings that do not concern anybody here.

    Raises:
        StoreError: the database failed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used")
        warnings.filterwarnings("ignore", message="The constraint value is ignored")  # a driver died between it and `tell`
        try:
            yield
        except optuna.exceptions.StorageInternalError as error:
            raise StoreError(
                f"store: {first_line(error.__cause__ or error)}", "'prunesearch doctor' looks at the store"
            ) from error

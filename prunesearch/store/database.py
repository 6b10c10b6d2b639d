"""`Store`: the one door to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine

import prunesearch.store.exact as exact
import prunesearch.store.setup as setup
import prunesearch.store.studies as studies
import prunesearch.store.tickets as tickets
import prunesearch.store.trials as trials
from prunesearch.front import Front
from prunesearch.policy import Policy
from prunesearch.results import DenseReference, Result, TaskInfo
from prunesearch.store.connect import make_engine, parse_url, reading, writing
from prunesearch.store.fronts import front_of
from prunesearch.store.records import ExactRecord, FrontRecord, StudyRecord, Ticket, TrialRecord


class Store:
    """Studies in a SQL database. Build it with `Store.open`; it is a context manager.

    Every method is one transaction and raises StoreError where the database fails, StudyError where the study is
    unknown. A study is meant by its name.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    @classmethod
    def open(cls, url: str, *, write: bool = False, code_version: str = "") -> Store:
        """Open a store.

        Args:
            url: any SQLAlchemy URL; `postgresql://` means psycopg 3.
            write: create the database's tables where they are missing. Without it nothing is created or locked.
            code_version: what is noted as the maker of new tables.

        Raises:
            NewerSchemaError: a newer prunesearch wrote it.
            StoreError: it is missing, damaged, no database, not reachable, or may not be written.
        """
        engine = make_engine(parse_url(url), write=write)
        try:
            setup.prepare(engine, code_version) if write else setup.check(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, url)

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def create_study(
        self, name: str, spec: Mapping[str, Any], info: TaskInfo | None, code_version: str, environment: Mapping[str, Any]
    ) -> StudyRecord:
        """Add a study.

        Raises:
            StudyError: there is one of that name.
        """
        with writing(self._engine) as connection:
            return studies.create(connection, name, spec, info, code_version, environment)

    def study(self, name: str | None = None) -> StudyRecord:
        """A study by name, or the one last written to."""
        with reading(self._engine) as connection:
            return studies.read(connection, name)

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        with reading(self._engine) as connection:
            return studies.everything(connection)

    def set_spec(self, study: str, spec: Mapping[str, Any]) -> None:
        """Replace a study's definition; the caller has checked that it may be."""
        self._change(study, spec=dict(spec))

    def set_info(self, study: str, info: TaskInfo | None) -> None:
        """Store what the task is; None: nothing came of it, and it may be another one next time."""
        self._change(study, task=None if info is None else asdict(info))

    def set_dense(self, study: str, dense: DenseReference, seconds: float) -> bool:
        """Store the dense reference and the wall time that it took, in seconds; False where another driver has stored one."""
        with writing(self._engine) as connection:
            return studies.set_dense(connection, studies.id_of(connection, study), dense, seconds)

    def _change(self, study: str, **values: Any) -> None:
        with writing(self._engine) as connection:
            studies.change(connection, studies.id_of(connection, study), **values)

    def counts(self, study: str) -> dict[str, int]:
        """Trials by state; states without trials are left out."""
        with reading(self._engine) as connection:
            return studies.counts(connection, studies.id_of(connection, study))

    def ended(self, study: str) -> int:
        """How many trials have a result."""
        with reading(self._engine) as connection:
            return studies.ended(connection, studies.id_of(connection, study))

    def take_ticket(self, study: str, total: int, owner: str) -> Ticket | None:
        """A ticket that was given back, else a new one, else None once `total` were handed out."""
        with writing(self._engine) as connection:
            return tickets.take(connection, studies.id_of(connection, study, lock=True), total, owner)

    def tickets(self, study: str) -> list[Ticket]:
        """All tickets of a study by number."""
        with reading(self._engine) as connection:
            return tickets.everything(connection, studies.id_of(connection, study))

    def tickets_and_trials(self, study: str) -> tuple[list[Ticket], list[TrialRecord]]:
        """All tickets and all trials, as they were at one moment: a trial that runs there has its ticket."""
        with reading(self._engine) as connection:
            found = studies.id_of(connection, study)
            return tickets.everything(connection, found), trials.listed(connection, found)

    def bind_ticket(self, ticket: Ticket, trial_number: int) -> bool:
        """Say which trial is run for a ticket; False where it is no longer its owner's."""
        with writing(self._engine) as connection:
            return tickets.bind(connection, ticket, trial_number)

    def return_ticket(self, ticket: Ticket) -> bool:
        """Let a ticket be handed out again; False where it is no longer its owner's, or done."""
        with writing(self._engine) as connection:
            return tickets.give_back(connection, ticket)

    def adopt_ticket(self, ticket: Ticket, owner: str) -> bool:
        """Go on with a ticket that another driver left; False where it has changed hands or is done."""
        with writing(self._engine) as connection:
            return tickets.adopt(connection, ticket, owner)

    def start_trial(self, study: str, number: int, ticket: Ticket | None, policy: Policy, digest: str, seed: int) -> None:
        """Note that a trial runs, or runs again under its own number.

        Raises:
            StoreError: it has a result already.
        """
        with writing(self._engine) as connection:
            trials.start(connection, studies.id_of(connection, study, lock=True), number, ticket, policy, digest, seed)

    def record_result(
        self,
        study: str,
        number: int,
        result: Result,
        violations: Mapping[str, float],
        feasible: bool,
        *,
        of: int | None = None,
    ) -> bool:
        """Write a trial's result, epochs and layers, and use up its ticket, in one transaction.

        Args:
            study: the study.
            number: the trial.
            result: what came out.
            violations: per constrained measure how far it is beyond its bound.
            feasible: whether it is complete and satisfies all constraints.
            of: how many trials with a result its latency was settled by; None: it is written whatever others have added.

        Returns:
            False, and nothing is written, where the trial has a result already or was given up as lost, or where another
            driver has added a result since.

        Raises:
            TrialError: it was never started.
        """
        with writing(self._engine) as connection:
            found = studies.id_of(connection, study, lock=True)
            if of is not None and studies.ended(connection, found) != of:
                return False
            written = trials.finish(connection, found, number, result, violations, feasible)
            studies.change(connection, found)
            return written

    def lose_trial(self, study: str, number: int, reason: str) -> bool:
        """Give up a running trial; its ticket is handed out again. False where it does not run.

        Raises:
            TrialError: it was never started.
        """
        with writing(self._engine) as connection:
            return trials.lose(connection, studies.id_of(connection, study, lock=True), number, reason)

    def running(self, study: str) -> list[TrialRecord]:
        """Trials that were started and have no result."""
        return self.trials(study, "running")

    def trials(self, study: str, *states: str) -> list[TrialRecord]:
        """Trials by number, all or those in the given states, without epochs and layers."""
        with reading(self._engine) as connection:
            return trials.listed(connection, studies.id_of(connection, study), states)

    def trial(self, study: str, number: int) -> TrialRecord:
        """A trial with its epochs and layers.

        Raises:
            TrialError: there is none of that number.
        """
        with reading(self._engine) as connection:
            return trials.read(connection, studies.id_of(connection, study), number)

    def find_result(self, study: str, digest: str, seed: int) -> TrialRecord | None:
        """The first finished trial of the same policy and seed: complete, infeasible or stopped."""
        with reading(self._engine) as connection:
            return trials.known(connection, studies.id_of(connection, study), digest, seed)

    def record_exact(self, study: str, number: int, result: Result, violations: Mapping[str, float], feasible: bool) -> bool:
        """Write what a trial, or the dense network (-1), measures in exact numerics; False where that is known already."""
        with writing(self._engine) as connection:
            return exact.record(connection, studies.id_of(connection, study, lock=True), number, result, violations, feasible)

    def exact(self, study: str) -> dict[int, ExactRecord]:
        """What was measured again in exact numerics, by trial; -1: the dense network."""
        with reading(self._engine) as connection:
            return exact.everything(connection, studies.id_of(connection, study))

    def record_front(self, study: str, after: int, members: Sequence[int], hypervolume: float | None, *, of: int) -> bool:
        """Store the front (trial numbers) as it is after a trial.

        Args:
            study: the study.
            after: the trial.
            members: trials on the front.
            hypervolume: of the front; None where it has none.
            of: how many trials with a result were looked at.

        Returns:
            False, and nothing is written, where another driver has added a result since: the last front told is that of all.
        """
        with writing(self._engine) as connection:
            found = studies.id_of(connection, study, lock=True)
            current = studies.ended(connection, found) == of
            if current:
                studies.record_front(connection, found, after, members, hypervolume)
            return current

    def front_history(self, study: str) -> list[FrontRecord]:
        """The fronts of a study, in the order in which they were recorded."""
        with reading(self._engine) as connection:
            return studies.front_history(connection, studies.id_of(connection, study))

    def front(self, study: str | None = None) -> Front:
        """The Pareto front of a study, or of the one last written to, from its feasible trials."""
        with reading(self._engine) as connection:
            record = studies.read(connection, study)
            finished = trials.listed(connection, record.id, ("complete",))
            history = studies.front_history(connection, record.id)
            again = exact.everything(connection, record.id)
        return front_of(record, finished, history[-1] if history else None, again)

    def copy_study(self, name: str, to_store: Store, new_name: str | None = None) -> StudyRecord:
        """Copy a study with all its trials, ours and Optuna's, to a store opened with `write`.

        Args:
            name: the study.
            to_store: where it goes; this store again, with a new name, makes a second copy beside it.
            new_name: its name there, the same by default.

        Raises:
            StudyError: there is no such study, or one of the new name is there already.
        """
        from prunesearch.store.copying import copy_study  # here, as Optuna comes with it

        copy_study(self._engine, to_store._engine, name, new_name or name)
        return to_store.study(new_name or name)

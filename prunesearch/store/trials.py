"""Statements about trials, their epochs and layers. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, delete, insert, select, update

import prunesearch.store.rows as rows
import prunesearch.store.tickets as tickets
from prunesearch.errors import StoreError, TrialError
from prunesearch.policy import Policy
from prunesearch.results import EpochRow, LayerRow, Result
from prunesearch.store.records import ENDED, Ticket, TrialRecord
from prunesearch.store.schema import epochs, layers, trials
from prunesearch.store.schema import tickets as ticket_table

KNOWN = ("complete", "infeasible", "stopped")
"""States whose result answers a policy that is asked for again; a failure may pass, so it is tried again."""


def start(connection: Connection, study: int, number: int, ticket: Ticket | None, policy: Policy, digest: str, seed: int) -> None:
    """Insert a running trial, or start one again that has no result.

    Raises:
        StoreError: the trial has a result already.
    """
    old = _state(connection, study, number)
    if old in ENDED:
        raise StoreError(f"trial {number} has a result already ({old})", "this is a bug: please report it")
    connection.execute(delete(trials).where(trials.c.study_id == study, trials.c.number == number))
    values = {"study_id": study, "number": number, "ticket_id": ticket.id if ticket else None, "digest": digest, "seed": seed}
    connection.execute(insert(trials).values(**values, state="running", policy=policy.to_dict(), started_at=rows.now()))


def finish(
    connection: Connection, study: int, number: int, result: Result, violations: Mapping[str, float], feasible: bool
) -> bool:
    """Write a result and use up its ticket; False, and nothing written, where there is a result already.

    Raises:
        TrialError: the trial was never started.
    """
    trial = _pending(connection, study, number)
    if trial is None:
        return False
    values = rows.result_values(result) | {"violations": dict(violations), "feasible": feasible, "finished_at": rows.now()}
    connection.execute(update(trials).where(trials.c.id == trial.id).values(**values))
    _insert(connection, epochs, trial.id, (rows.epoch_values(e) for e in result.epochs))
    _insert(connection, layers, trial.id, ({"position": i, **asdict(x)} for i, x in enumerate(result.layers)))
    if trial.ticket_id is not None:
        tickets.close(connection, trial.ticket_id)
    return True


def lose(connection: Connection, study: int, number: int, reason: str) -> bool:
    """Mark a running trial as lost and give its ticket back; False where it is not running.

    Raises:
        TrialError: the trial was never started.
    """
    trial = _pending(connection, study, number)
    if trial is None:
        return False
    values = {"state": "lost", "reason": reason, "finished_at": rows.now(), "ticket_id": None}
    connection.execute(update(trials).where(trials.c.id == trial.id).values(**values))
    if trial.ticket_id is not None:
        tickets.reopen(connection, trial.ticket_id)
    return True


def _pending(connection: Connection, study: int, number: int) -> Row[Any, Any, Any] | None:
    query = select(trials.c.id, trials.c.state, trials.c.ticket_id).where(trials.c.study_id == study, trials.c.number == number)
    found = connection.execute(query.with_for_update()).first()
    if found is None:
        raise TrialError(f"the study has no trial {number}", "'prunesearch front' lists trials")
    return found if found.state == "running" else None


def _state(connection: Connection, study: int, number: int) -> str | None:
    return connection.scalar(select(trials.c.state).where(trials.c.study_id == study, trials.c.number == number))


def _insert(connection: Connection, table: Table, trial: int, values: Iterable[Mapping[str, Any]]) -> None:
    listed = [{"trial_id": trial, **v} for v in values]
    if listed:
        connection.execute(insert(table), listed)


def _select(study: int, *where: ColumnElement[bool]) -> Select[Any]:
    joined = trials.outerjoin(ticket_table, trials.c.ticket_id == ticket_table.c.id)
    query = select(trials, ticket_table.c.number.label("ticket_number")).select_from(joined)
    return query.where(trials.c.study_id == study, *where).order_by(trials.c.number)


def listed(connection: Connection, study: int, states: Sequence[str] = ()) -> list[TrialRecord]:
    """Trials by number, all or those in some states, without epochs and layers."""
    where = [trials.c.state.in_(states)] if states else []
    return [rows.trial_of(row) for row in connection.execute(_select(study, *where)).mappings()]


def read(connection: Connection, study: int, number: int) -> TrialRecord:
    """A trial with its epochs and layers.

    Raises:
        TrialError: there is none of that number.
    """
    found = connection.execute(_select(study, trials.c.number == number)).mappings().first()
    if found is None:
        known = list(connection.scalars(select(trials.c.number).where(trials.c.study_id == study).order_by(trials.c.number)))
        told = f"it has trials {known[0]} to {known[-1]}" if known else "it has no trials yet"
        raise TrialError(f"the study has no trial {number}", told)
    return rows.trial_of(found, epoch_rows(connection, found["id"]), layer_rows(connection, found["id"]))


def known(connection: Connection, study: int, digest: str, seed: int) -> TrialRecord | None:
    """The first finished trial of the same policy and seed, with its epochs and layers."""
    same = (trials.c.digest == digest, trials.c.seed == seed, trials.c.state.in_(KNOWN))
    found = connection.execute(_select(study, *same).limit(1)).mappings().first()
    if found is None:
        return None
    return rows.trial_of(found, epoch_rows(connection, found["id"]), layer_rows(connection, found["id"]))


def epoch_rows(connection: Connection, trial: int) -> tuple[EpochRow, ...]:
    """A trial's epochs in order."""
    query = select(epochs).where(epochs.c.trial_id == trial).order_by(epochs.c.epoch)
    return tuple(rows.epoch_of(row) for row in connection.execute(query).mappings())


def layer_rows(connection: Connection, trial: int) -> tuple[LayerRow, ...]:
    """A trial's layers in the network's order."""
    query = select(layers).where(layers.c.trial_id == trial).order_by(layers.c.position)
    return tuple(rows.layer_of(row) for row in connection.execute(query).mappings())

"""Statements about studies and their fronts. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

import prunesearch.store.rows as rows
from prunesearch.errors import StudyError, did_you_mean
from prunesearch.results import DenseReference, TaskInfo
from prunesearch.store.records import ENDED, FrontRecord, StudyRecord
from prunesearch.store.schema import fronts, studies, trials


def names(connection: Connection) -> list[str]:
    """The names of all studies, oldest first."""
    return list(connection.scalars(select(studies.c.name).order_by(studies.c.id)))


def create(
    connection: Connection,
    name: str,
    spec: Mapping[str, Any],
    info: TaskInfo | None,
    code_version: str,
    environment: Mapping[str, Any],
) -> StudyRecord:
    """Insert a study.

    Raises:
        StudyError: there is one of that name.
    """
    values = {"name": name, "spec": spec, "code_version": code_version, "environment": environment}
    task = None if info is None else asdict(info)
    try:
        connection.execute(insert(studies).values(**values, task=task, created_at=rows.now(), active_at=rows.now()))
    except IntegrityError:  # looking first would miss one that is being made at this moment
        raise StudyError(f"the store has a study '{name}' already", "give another name") from None
    return read(connection, name)


def read(connection: Connection, name: str | None) -> StudyRecord:
    """A study by name, or the one last written to.

    Raises:
        StudyError: there is none.
    """
    query = select(studies).order_by(studies.c.active_at.desc(), studies.c.id.desc()).limit(1)
    found = connection.execute(query if name is None else query.where(studies.c.name == name)).mappings().first()
    if found is None:
        raise unknown(connection, name)
    return rows.study_of(found)


def unknown(connection: Connection, name: str | None) -> StudyError:
    """The error for a study that is not there."""
    if name is None:
        return StudyError("the store holds no study yet", "'prunesearch search quickstart' makes one")
    return StudyError(
        f"the store has no study '{name}'", f"{did_you_mean(name, names(connection))} ('prunesearch studies' lists them)"
    )


def everything(connection: Connection) -> list[StudyRecord]:
    """All studies, oldest first."""
    return [rows.study_of(row) for row in connection.execute(select(studies).order_by(studies.c.id)).mappings()]


def id_of(connection: Connection, name: str, *, lock: bool = False) -> int:
    """A study's number in this database; `lock` keeps other writers of the study out until the transaction ends.

    Raises:
        StudyError: there is none of that name.
    """
    query = select(studies.c.id).where(studies.c.name == name)
    found = connection.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise unknown(connection, name)
    return int(found)


def change(connection: Connection, study: int, **values: Any) -> None:
    """Set columns of a study, and the time of its last change."""
    connection.execute(update(studies).where(studies.c.id == study).values(**values, active_at=rows.now()))


def set_dense(connection: Connection, study: int, dense: DenseReference, seconds: float) -> bool:
    """Store the dense reference row; False, and nothing written, where there is one already."""
    missing = (studies.c.id == study) & studies.c.dense.is_(None)
    values = rows.dense_values(dense, seconds)
    return connection.execute(update(studies).where(missing).values(**values, active_at=rows.now())).rowcount == 1


def counts(connection: Connection, study: int) -> dict[str, int]:
    """Trials by state; states without trials are left out."""
    query = select(trials.c.state, func.count().label("trials")).where(trials.c.study_id == study).group_by(trials.c.state)
    return {row.state: row.trials for row in connection.execute(query)}


def ended(connection: Connection, study: int) -> int:
    """How many trials have a result."""
    return sum(number for state, number in counts(connection, study).items() if state in ENDED)


def record_front(connection: Connection, study: int, after_trial: int, members: Sequence[int], hypervolume: float | None) -> None:
    """Store the front as it is after a trial, in place of an earlier word about the same trial."""
    connection.execute(delete(fronts).where(fronts.c.study_id == study, fronts.c.after_trial == after_trial))
    values = {"study_id": study, "after_trial": after_trial, "members": list(members), "size": len(members)}
    connection.execute(insert(fronts).values(**values, hypervolume=hypervolume, recorded_at=rows.now()))


def front_history(connection: Connection, study: int) -> list[FrontRecord]:
    """All fronts of a study, in the order in which they were recorded."""
    query = select(fronts).where(fronts.c.study_id == study).order_by(fronts.c.id)
    return [rows.front_of(row) for row in connection.execute(query).mappings()]

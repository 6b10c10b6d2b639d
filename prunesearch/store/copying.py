"""Copying a study with all its trials from one database to another, ours and Optuna's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, Table, insert, inspect, select

import prunesearch.store.studies as studies
from prunesearch.errors import StudyError
from prunesearch.store.connect import reading, told, writing
from prunesearch.store.optuna_storage import close_storage, optuna_storage
from prunesearch.store.schema import epochs, exact, fronts, layers, tickets, trials
from prunesearch.store.schema import studies as study_table

Change = Callable[[dict[str, Any]], dict[str, Any]]


def copy_study(source: Engine, target: Engine, name: str, new_name: str) -> None:
    """Copy a study. Our rows are written in one transaction, after Optuna's.

    Raises:
        StudyError: the source has no such study, or the target has one of the new name.
        StoreError: either database fails.
    """
    with reading(source) as connection:
        studies.id_of(connection, name)
    with reading(target) as connection:
        if new_name in studies.names(connection):
            raise StudyError(f"the store has a study '{new_name}' already", "give the copy another name with --as")
    copied = _copy_optuna(source, target, name, new_name)
    try:
        with reading(source) as old, writing(target) as new:
            _copy_ours(old, new, name, new_name)
    except BaseException:
        if copied:
            with _optuna(target, write=True) as storage:
                optuna.delete_study(study_name=new_name, storage=storage)
        raise


@contextmanager
def _optuna(engine: Engine, *, write: bool) -> Iterator[RDBStorage]:
    storage = optuna_storage(engine.url.render_as_string(hide_password=False), write=write)
    try:
        with told(engine.url):
            yield storage
    finally:
        close_storage(storage)


def _copy_optuna(source: Engine, target: Engine, name: str, new_name: str) -> bool:
    """Copy Optuna's study, if the source has one of that name; says whether it did."""
    with reading(source) as connection:
        if not inspect(connection).has_table("studies"):
            return False
    with _optuna(source, write=False) as old:
        if name not in optuna.get_all_study_names(storage=old):
            return False
        with _optuna(target, write=True) as new:
            if new_name in optuna.get_all_study_names(storage=new):
                raise StudyError(f"Optuna's tables have a study '{new_name}' already", "give the copy another name with --as")
            optuna.copy_study(from_study_name=name, from_storage=old, to_storage=new, to_study_name=new_name)
    return True


def _copy_ours(old: Connection, new: Connection, name: str, new_name: str) -> None:
    study = old.execute(select(study_table).where(study_table.c.name == name)).mappings().one()
    _insert(new, study_table, [{**_plain(study), "name": new_name, "spec": {**study["spec"], "name": new_name}}])
    here = studies.id_of(new, new_name)
    there = study["id"]
    _copy(old, new, tickets, there, lambda row: {**_unheld(row), "study_id": here})
    ticket = _renumbered(old, new, tickets, there, here)
    _copy(old, new, trials, there, lambda row: {**row, "study_id": here, "ticket_id": ticket.get(row["ticket_id"])})
    trial = _renumbered(old, new, trials, there, here)
    for table in (epochs, layers):
        query = select(table).join(trials, trials.c.id == table.c.trial_id).where(trials.c.study_id == there)
        found = old.execute(query).mappings()
        _insert(new, table, [{**row, "trial_id": trial[row["trial_id"]]} for row in found])
    _copy(old, new, fronts, there, lambda row: {**row, "study_id": here})
    if inspect(old).has_table(exact.name):  # older stores have none
        _copy(old, new, exact, there, lambda row: {**row, "study_id": here})


def _copy(old: Connection, new: Connection, table: Table, study: int, change: Change) -> None:
    query = select(table).where(table.c.study_id == study).order_by(table.c.id)
    _insert(new, table, [change(_plain(row)) for row in old.execute(query).mappings()])


def _unheld(ticket: dict[str, Any]) -> dict[str, Any]:
    """A ticket as the copy has it: whoever drives the study does not drive the copy, so that anybody may go on with it."""
    return ticket if ticket["state"] != "taken" else {**ticket, "owner": None}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row without its number, which the other database gives anew."""
    return {key: value for key, value in row.items() if key != "id"}


def _insert(new: Connection, table: Table, values: list[dict[str, Any]]) -> None:
    if values:
        new.execute(insert(table), values)


def _renumbered(old: Connection, new: Connection, table: Table, there: int, here: int) -> dict[int | None, int]:
    """Old id to new id, by the number within the study."""
    ids = {row.number: row.id for row in new.execute(select(table.c.id, table.c.number).where(table.c.study_id == here))}
    return {row.id: ids[row.number] for row in old.execute(select(table.c.id, table.c.number).where(table.c.study_id == there))}

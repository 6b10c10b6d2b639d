"""Copying a study with all its trials from one database to another, ours and Optuna's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, Select, Table, insert, inspect, select

import prunesearch.store.studies as studies
from prunesearch.errors import StudyError
from prunesearch.store.connect import reading, told, writing
from prunesearch.store.optuna_storage import close_storage, optuna_storage
from prunesearch.store.schema import epochs, exact, fronts, layers, tickets, trials
from prunesearch.store.schema import studies as study_table

Rows = dict[Table, list[dict[str, Any]]]
"""Rows as they were read, by table."""
NOTE = re.compile(r"dashboard:(\d+):(note_.+)")
"""The attributes in which Optuna's dashboard keeps a trial's note; in them, the trial's number in the database."""


def copy_study(source: Engine, target: Engine, name: str, new_name: str) -> None:
    """Copy a study, which may be searched on meanwhile: as it is when the copy begins.

    Our rows are read first and written last, in one transaction: Optuna's then have every trial of ours, and of those that
    ours do not know yet `reconcile` forgets what is in flight.

    Raises:
        StudyError: the source has no such study, or the target has one of the new name.
        StoreError: either database fails.
    """
    with reading(source) as connection:
        ours = _read_ours(connection, name)
    with reading(target) as connection:
        if new_name in studies.names(connection):
            raise StudyError(f"the store has a study '{new_name}' already", "give the copy another name with --as")
    with _optuna_copied(source, target, name, new_name), writing(target) as connection:
        _write_ours(connection, ours, new_name)


@contextmanager
def _optuna(engine: Engine, *, write: bool) -> Iterator[RDBStorage]:
    storage = optuna_storage(engine.url.render_as_string(hide_password=False), write=write)
    try:
        with told(engine.url):
            yield storage
    except StorageInternalError as error:
        with told(engine.url):
            raise error.__cause__ or error from None
    finally:
        close_storage(storage)


@contextmanager
def _optuna_copied(source: Engine, target: Engine, name: str, new_name: str) -> Iterator[None]:
    """Optuna's study is copied, if the source has one; the copy goes again where that, or what follows, fails."""
    if not _has_optuna(source, name):
        yield
        return
    with _optuna(source, write=False) as old, _optuna(target, write=True) as new:
        there = old.get_study_id_from_name(name)
        try:
            here = new.create_new_study(old.get_study_directions(there), new_name)
        except DuplicatedStudyError:
            hint = "give the copy another name with --as"
            raise StudyError(f"Optuna's tables have a study '{new_name}' already", hint) from None
        try:
            _fill(old, there, new, here)
            yield
        except BaseException:
            new.delete_study(here)
            raise


def _has_optuna(source: Engine, name: str) -> bool:
    with reading(source) as connection:
        if not inspect(connection).has_table("studies"):
            return False
    with _optuna(source, write=False) as old:
        return name in optuna.get_all_study_names(storage=old)


def _fill(old: RDBStorage, there: int, new: RDBStorage, here: int) -> None:
    """Copy trials and attributes; a note follows its trial, which has another number in this database."""
    for key, value in old.get_study_user_attrs(there).items():
        new.set_study_user_attr(here, key, value)
    copied = old.get_all_trials(there, deepcopy=False)
    moved = {trial._trial_id: new.create_new_trial(here, template_trial=trial) for trial in copied}
    for key, value in old.get_study_system_attrs(there).items():
        note = NOTE.fullmatch(key)
        if note is None:
            new.set_study_system_attr(here, key, value)
        elif int(note[1]) in moved:
            new.set_study_system_attr(here, f"dashboard:{moved[int(note[1])]}:{note[2]}", value)


def _read_ours(old: Connection, name: str) -> Rows:
    """All rows of a study, as they are at one moment."""
    there = studies.id_of(old, name)
    own = select(trials.c.id).where(trials.c.study_id == there)
    queries: dict[Table, Select[Any]] = {study_table: select(study_table).where(study_table.c.id == there)}
    queries |= {t: select(t).where(t.c.study_id == there).order_by(t.c.id) for t in (tickets, trials, fronts)}
    queries |= {t: select(t).where(t.c.trial_id.in_(own)) for t in (epochs, layers)}
    if inspect(old).has_table(exact.name):  # older stores have none
        queries[exact] = select(exact).where(exact.c.study_id == there).order_by(exact.c.id)
    return {table: [dict(row) for row in old.execute(query).mappings()] for table, query in queries.items()}


def _write_ours(new: Connection, ours: Rows, new_name: str) -> None:
    (study,) = ours[study_table]
    _insert(new, study_table, [_moved(study, name=new_name, spec={**study["spec"], "name": new_name})])
    here = studies.id_of(new, new_name)
    _insert(new, tickets, [_unheld(_moved(row, study_id=here)) for row in ours[tickets]])
    ticket = _renumbered(new, tickets, ours, here)
    _insert(new, trials, [_moved(row, study_id=here, ticket_id=ticket.get(row["ticket_id"])) for row in ours[trials]])
    trial = _renumbered(new, trials, ours, here)
    for table in (epochs, layers):
        _insert(new, table, [_moved(row, trial_id=trial[row["trial_id"]]) for row in ours[table]])
    for table in (fronts, exact):
        _insert(new, table, [_moved(row, study_id=here) for row in ours.get(table, ())])


def _moved(row: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A row with other values, and without its number, which the other database gives anew."""
    return {**{key: value for key, value in row.items() if key != "id"}, **values}


def _unheld(ticket: dict[str, Any]) -> dict[str, Any]:
    """A ticket as the copy has it: whoever drives the study does not drive the copy, so that anybody may go on with it."""
    return ticket if ticket["state"] != "taken" else {**ticket, "owner": None}


def _insert(new: Connection, table: Table, values: list[dict[str, Any]]) -> None:
    if values:
        new.execute(insert(table), values)


def _renumbered(new: Connection, table: Table, ours: Rows, here: int) -> dict[int | None, int]:
    """Old id to new id, by the number within the study."""
    ids = {row.number: row.id for row in new.execute(select(table.c.id, table.c.number).where(table.c.study_id == here))}
    return {row["id"]: ids[row["number"]] for row in ours[table]}

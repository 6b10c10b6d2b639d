"""Statements about tickets: the right to run one trial. Every function works inside the caller's transaction.

A ticket's number is below the study's total for as long as it exists, so that no number of drivers on any number of
hosts runs more trials than asked for (counting trials and then asking overshot 20 to 23 with six drivers).
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

import prunesearch.store.rows as rows
from prunesearch.store.records import Ticket
from prunesearch.store.schema import tickets


def take(connection: Connection, study: int, total: int, owner: str) -> Ticket | None:
    """The lowest ticket that was given back, else a new one, else None. The caller has locked the study."""
    mine = tickets.c.study_id == study
    query = select(tickets.c.id).where(mine, tickets.c.state == "open", tickets.c.number < total)
    found = connection.scalar(query.order_by(tickets.c.number).limit(1))
    if found is None:
        found = _new(connection, study, total)
    if found is None:
        return None
    _set(connection, found, state="taken", owner=owner, trial_number=None)
    return read(connection, found)


def _new(connection: Connection, study: int, total: int) -> int | None:
    last = connection.scalar(select(func.max(tickets.c.number)).where(tickets.c.study_id == study))
    number = 0 if last is None else last + 1
    if number >= total:
        return None
    values = {"study_id": study, "number": number, "state": "open", "changed_at": rows.now()}
    key = connection.execute(insert(tickets).values(**values)).inserted_primary_key
    return None if key is None else int(key[0])


def _set(connection: Connection, ticket: int, **values: object) -> None:
    connection.execute(update(tickets).where(tickets.c.id == ticket).values(**values, changed_at=rows.now()))


def read(connection: Connection, ticket: int) -> Ticket:
    """A ticket by its number in this database."""
    return rows.ticket_of(connection.execute(select(tickets).where(tickets.c.id == ticket)).mappings().one())


def everything(connection: Connection, study: int) -> list[Ticket]:
    """All tickets of a study by number."""
    query = select(tickets).where(tickets.c.study_id == study).order_by(tickets.c.number)
    return [rows.ticket_of(row) for row in connection.execute(query).mappings()]


def bind(connection: Connection, ticket: Ticket, trial: int) -> bool:
    """Say which trial is run for a ticket; False where it is no longer the owner's."""
    return _if_held(connection, ticket, trial_number=trial)


def give_back(connection: Connection, ticket: Ticket) -> bool:
    """Let a ticket be handed out again; False where it is no longer the owner's."""
    return _if_held(connection, ticket, state="open", owner=None, trial_number=None)


def adopt(connection: Connection, ticket: Ticket, owner: str) -> bool:
    """Go on with a ticket that another driver left; False where it has changed hands or is done."""
    return _if_held(connection, ticket, owner=owner)


def _if_held(connection: Connection, ticket: Ticket, **values: object) -> bool:
    held = (tickets.c.id == ticket.id) & (tickets.c.state == "taken") & (tickets.c.owner == ticket.owner)
    return connection.execute(update(tickets).where(held).values(**values, changed_at=rows.now())).rowcount == 1


def close(connection: Connection, ticket: int) -> None:
    """Mark a ticket as used up: its trial has a result."""
    _set(connection, ticket, state="done")


def reopen(connection: Connection, ticket: int) -> None:
    """Let a lost trial's ticket be handed out again."""
    _set(connection, ticket, state="open", owner=None, trial_number=None)

"""The driver's heart: what to do next, as a pure function of what was and what happened. No I/O, no clock, no sampler.

    state, actions = decide(state, event)

Whoever drives performs the actions in order and feeds back what came of each as events (a `Take` is answered by
`Granted` or `Dry`, an `Ask` by `Proposed`; the others need no answer). Tickets are meant by their number, trials by
theirs. Kept in any order of events: never more trials in flight than slots; every granted ticket ends in exactly one of
`Record`, `GiveUp`, `Release`, `Return` or `Abandon`; after `End` nothing is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prunesearch.engines.base import LOSSES
from prunesearch.search.steps import (
    Abandon,
    Actions,
    Ask,
    Dry,
    End,
    Event,
    Finished,
    GiveUp,
    Granted,
    Lost,
    Proposed,
    Record,
    Refused,
    Release,
    Rerun,
    Return,
    Reuse,
    Start,
    Stop,
    Take,
)

DUPLICATES = 20
"""Known policies in a row that one ticket may be answered with before it is drawn at random, and at random before giving up."""


@dataclass(frozen=True)
class Flight:
    """A trial that the engine has: its ticket, and how many workers it has cost."""

    ticket: int
    losses: int = 0


@dataclass(frozen=True)
class State:
    """What the driver holds.

    Args:
        slots: trials that run at a time.
        redo: trials of an earlier driver to be run again, number -> ticket.
        running: trials that the engine has.
        taking: whether a ticket was asked for and not answered yet.
        asking: the ticket for which a policy is being asked, and how often it was before.
        dry: whether all tickets are handed out.
        stopping: why nothing new is started: `timeout`, `interrupt`, `terminate` or `exhausted`.
        ended: whether `End` was said.
    """

    slots: int
    redo: Mapping[int, int] = field(default_factory=dict)
    running: Mapping[int, Flight] = field(default_factory=dict)
    taking: bool = False
    asking: tuple[int, int] | None = None
    dry: bool = False
    stopping: str | None = None
    ended: bool = False


def decide(state: State, event: Event) -> tuple[State, Actions]:
    """The next state, and what to do.

    Raises:
        ValueError: the event answers nothing that was asked.
    """
    state, first = _digest(state, event)
    state, then = _fill(state)
    return state, first + then


def _digest(state: State, event: Event) -> tuple[State, Actions]:
    match event:
        case Granted(ticket, attempts):
            return _granted(_answered(state, state.taking, event), ticket, attempts)
        case Dry():
            return replace(_answered(state, state.taking, event), taking=False, dry=True), ()
        case Proposed(number, known):
            return _proposed(_answered(state, state.asking is not None, event), number, known)
        case Finished(number):
            return _without(state, number), (Record(number),)
        case Refused(number):
            return _without(state, number), ()
        case Lost(number):
            return _lost(state, number)
        case Stop(reason):
            return _stopped(state, reason)
    return state, ()


def _answered(state: State, awaited: bool, event: Event) -> State:
    if not awaited:
        raise ValueError(f"{event} answers nothing that was asked")
    return state


def _granted(state: State, ticket: int, attempts: int) -> tuple[State, Actions]:
    state = replace(state, taking=False)
    if state.stopping:
        return state, (Return(ticket),)
    return replace(state, asking=(ticket, attempts)), (Ask(ticket, attempts, attempts >= DUPLICATES),)


def _proposed(state: State, number: int, known: int | None) -> tuple[State, Actions]:
    ticket, attempt = state.asking or (0, 0)
    state = replace(state, asking=None)
    if known is None:
        if state.stopping:
            return state, (Abandon(ticket, number),)
        return replace(state, running={**state.running, number: Flight(ticket)}), (Start(ticket, number),)
    answered = Reuse(ticket, number, known)
    if state.stopping:
        return state, (answered, Return(ticket))
    if attempt + 1 >= 2 * DUPLICATES:
        return replace(state, stopping="exhausted"), (answered, Return(ticket))
    again = Ask(ticket, attempt + 1, attempt + 1 >= DUPLICATES)
    return replace(state, asking=(ticket, attempt + 1)), (answered, again)


def _without(state: State, number: int) -> State:
    if number not in state.running:
        raise ValueError(f"trial {number} is not in flight")
    return replace(state, running={n: f for n, f in state.running.items() if n != number})


def _lost(state: State, number: int) -> tuple[State, Actions]:
    rest, flight = _without(state, number), state.running[number]
    if flight.losses + 1 >= LOSSES:
        return rest, (GiveUp(number),)
    if state.stopping:
        return rest, (Release(flight.ticket, number),)
    again = {**rest.running, number: replace(flight, losses=flight.losses + 1)}
    return replace(rest, running=again), (Rerun(number),)


def _stopped(state: State, reason: str) -> tuple[State, Actions]:
    waiting = tuple(Release(ticket, number) for number, ticket in state.redo.items())
    state = replace(state, stopping=_graver(state.stopping, reason), redo={})
    if reason in ("timeout", "exhausted"):
        return state, waiting
    flying = tuple(Release(flight.ticket, number) for number, flight in state.running.items())
    return replace(state, running={}), waiting + flying


def _graver(old: str | None, new: str) -> str:
    return old if old in ("interrupt", "terminate") else new


def _fill(state: State) -> tuple[State, Actions]:
    """Use free slots: unfinished trials first, then one ticket at a time."""
    free = state.slots - len(state.running)
    if state.ended or state.taking or state.asking:
        return state, ()
    if not state.stopping and free > 0 and state.redo:
        again = sorted(state.redo)[:free]
        flights = {number: Flight(state.redo[number]) for number in again}
        left = {number: ticket for number, ticket in state.redo.items() if number not in flights}
        state, more = _fill(replace(state, redo=left, running={**state.running, **flights}))
        return state, tuple(Rerun(number) for number in again) + more
    if not state.stopping and free > 0 and not state.dry:
        return replace(state, taking=True), (Take(),)
    if not state.running and not state.redo:
        return replace(state, ended=True), (End(state.stopping),)
    return state, ()

"""The pure decision: tables of single steps, and invariants over any course of events."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.engines.base import LOSSES
from prunesearch.search.decide import DUPLICATES, Flight, State, decide
from prunesearch.search.steps import (
    Abandon,
    Action,
    Actions,
    Ask,
    Begin,
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

BUSY = State(2, running={7: Flight(3), 8: Flight(4)})
FREE = State(2, running={7: Flight(3)})
ASKING = State(2, running={7: Flight(3)}, asking=(5, 0))
STOPPED = State(2, running={7: Flight(3)}, stopping="timeout")

TABLE: dict[str, tuple[State, Event, Actions]] = {
    "begin": (State(2), Begin(), (Take(),)),
    "begin with unfinished trials": (State(2, redo={9: 1, 4: 0, 11: 2}), Begin(), (Rerun(4), Rerun(9))),
    "begin with one": (State(2, redo={9: 1}), Begin(), (Rerun(9), Take())),
    "ticket": (State(2, taking=True), Granted(5), (Ask(5, 0, False),)),
    "ticket with duplicates before": (State(2, taking=True), Granted(5, 3), (Ask(5, 3, False),)),
    "no ticket, one running": (State(2, running={7: Flight(3)}, taking=True), Dry(), ()),
    "no ticket, nothing running": (State(2, taking=True), Dry(), (End(None),)),
    "new policy, a slot left": (State(2, asking=(5, 0)), Proposed(12), (Start(5, 12), Take())),
    "new policy, no slot left": (ASKING, Proposed(12), (Start(5, 12),)),
    "known policy": (ASKING, Proposed(12, 3), (Reuse(5, 12, 3), Ask(5, 1, False))),
    "known for the last time": (
        State(1, asking=(5, DUPLICATES - 1)),
        Proposed(12, 3),
        (Reuse(5, 12, 3), Ask(5, DUPLICATES, True)),
    ),
    "nothing else in the space": (
        State(1, asking=(5, 2 * DUPLICATES - 1)),
        Proposed(12, 3),
        (Reuse(5, 12, 3), Return(5), End("exhausted")),
    ),
    "finished": (BUSY, Finished(7), (Record(7), Take())),
    "the last one finished": (State(2, running={7: Flight(3)}, dry=True), Finished(7), (Record(7), End(None))),
    "refused": (BUSY, Refused(7), (Take(),)),
    "a worker died": (BUSY, Lost(7), (Rerun(7),)),
    "its worker died again": (State(1, running={7: Flight(3, LOSSES - 1)}), Lost(7), (GiveUp(7), Take())),
    "timeout": (FREE, Stop("timeout"), ()),
    "timeout before an unfinished one": (State(1, redo={4: 0}, running={7: Flight(3)}), Stop("timeout"), (Release(0, 4),)),
    "finished after timeout": (STOPPED, Finished(7), (Record(7), End("timeout"))),
    "a worker died after timeout": (STOPPED, Lost(7), (Release(3, 7), End("timeout"))),
    "ctrl-c": (BUSY, Stop("interrupt"), (Release(3, 7), Release(4, 8), End("interrupt"))),
    "ctrl-c after timeout": (STOPPED, Stop("interrupt"), (Release(3, 7), End("interrupt"))),
    "ctrl-c while asking": (ASKING, Stop("interrupt"), (Release(3, 7),)),
    "proposed after ctrl-c": (State(2, asking=(5, 0), stopping="interrupt"), Proposed(12), (Abandon(5, 12), End("interrupt"))),
    "known after ctrl-c": (
        State(2, asking=(5, 0), stopping="interrupt"),
        Proposed(12, 3),
        (Reuse(5, 12, 3), Return(5), End("interrupt")),
    ),
    "ticket after ctrl-c": (State(2, taking=True, stopping="interrupt"), Granted(5), (Return(5), End("interrupt"))),
}


@pytest.mark.parametrize(("state", "event", "actions"), TABLE.values(), ids=TABLE)
def test_one_step(state: State, event: Event, actions: Actions) -> None:
    before = (dict(state.redo), dict(state.running))
    assert decide(state, event)[1] == actions
    assert (dict(state.redo), dict(state.running)) == before


@pytest.mark.parametrize("event", [Granted(1), Dry(), Proposed(1), Finished(1), Lost(1), Refused(1)])
def test_an_answer_to_nothing_is_refused(event: Event) -> None:
    with pytest.raises(ValueError, match=r"answers nothing|not in flight"):
        decide(State(1), event)


@dataclass
class World:
    """A store, a sampler and an engine that answer by chance, and count everything."""

    chance: random.Random
    total: int
    slots: int
    policies: int
    open: set[int] = field(default_factory=set)
    handed: int = 0
    numbers: int = 100
    flying: dict[int, int] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    fates: Counter[int] = field(default_factory=Counter)
    known: set[int] = field(default_factory=set)
    most: int = 0

    def answer(self, action: Action) -> Event | None:
        match action:
            case Take():
                return self._take()
            case Ask(_, attempt, random):
                assert random == (attempt >= DUPLICATES)
                self.numbers += 1
                policy = self.chance.randrange(self.policies)
                known = policy in self.known
                self.known.add(policy)
                return Proposed(self.numbers, policy if known else None)
            case Start(ticket, number):
                if self.chance.random() < 0.05:
                    self.held.discard(ticket)
                    self.fates[ticket] += 1
                    return Refused(number)
                self.fly(ticket, number)
            case Rerun(number):
                if number in self.waiting:
                    self.fly(self.waiting.pop(number), number)
                assert number in self.flying
            case Record(number) | GiveUp(number):
                self._end(self.flying.pop(number))
            case Release(ticket, number):
                assert (number in self.flying) != (number in self.waiting)
                self.flying.pop(number, None)
                self.waiting.pop(number, None)
                self._end(ticket)
            case Return(ticket) | Abandon(ticket, _):
                self._end(ticket)
                self.open.add(ticket)
        return None

    def _take(self) -> Event:
        if self.open:
            ticket = min(self.open)
            self.open.discard(ticket)
        elif self.handed < self.total:
            ticket, self.handed = self.handed, self.handed + 1
        else:
            return Dry()
        assert ticket not in self.held
        self.held.add(ticket)
        return Granted(ticket)

    def fly(self, ticket: int, number: int) -> None:
        assert ticket in self.held
        self.flying[number] = ticket
        self.most = max(self.most, len(self.flying))

    def _end(self, ticket: int) -> None:
        assert ticket in self.held, f"ticket {ticket} ended twice"
        self.held.discard(ticket)
        self.fates[ticket] += 1

    def happens(self) -> Event:
        """What an engine or a person does next."""
        if self.chance.random() < 0.03:
            return Stop(self.chance.choice(["timeout", "interrupt", "terminate"]))
        number = self.chance.choice(sorted(self.flying))
        return Lost(number) if self.chance.random() < 0.2 else Finished(number)


@given(
    seed=st.integers(0, 10**6),
    total=st.integers(1, 12),
    slots=st.integers(1, 4),
    policies=st.sampled_from([3, 50, 10_000]),
    redo=st.integers(0, 3),
)
def test_whatever_happens_every_ticket_ends_once_and_nothing_stays_held(
    seed: int, total: int, slots: int, policies: int, redo: int
) -> None:
    world = World(random.Random(seed), total, slots, policies)
    left = {10 + i: i for i in range(min(redo, total))}
    world.handed = len(left)
    world.held |= set(left.values())
    state, actions = decide(State(slots, redo=left), Begin())
    todo, ends = list(actions), 0
    world.waiting = dict(left)
    for _ in range(10_000):
        ends += sum(isinstance(action, End) for action in todo)
        if state.ended and not todo:
            break
        event = world.answer(todo.pop(0)) if todo else world.happens()
        if event is not None:
            state, actions = decide(state, event)
            todo += actions
        assert len(state.running) <= slots
    assert state.ended
    assert not world.held and not world.flying and not world.waiting and not state.running
    assert world.handed <= total
    assert world.most <= slots
    if state.stopping is None:
        assert sum(world.fates.values()) >= total
        assert not world.open


def test_after_a_signal_nothing_is_started() -> None:
    state, _ = decide(State(3, running={1: Flight(0)}, redo={2: 1}), Stop("terminate"))
    assert state.ended
    assert not state.running
    assert state.stopping == "terminate"
    assert decide(state, Begin()) == (state, ())

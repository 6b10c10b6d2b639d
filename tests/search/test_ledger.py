"""Which driver is dead, and setting right what it left: the pure assessment as a table, then on a real store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from sqlalchemy import event, text

from prunesearch.api import status
from prunesearch.policy import Policy
from prunesearch.search.ledger import Findings, Verdict, assess, reconcile
from prunesearch.search.memory import GRACE_SECONDS, Memory
from prunesearch.search.owners import RELEASED, Life, life_of, owner_name
from prunesearch.search.space import SearchSpace
from prunesearch.store import Store, Ticket
from prunesearch.store.optuna_storage import close_storage, optuna_storage
from tests.search.conftest import Bench
from tests.search.parts import info, result, spec


def life(owner: str | None) -> Life:
    return {"me": "alive", "gone": "dead", "far": "unknown", None: "dead"}[owner]  # type: ignore[return-value]


def taken(number: int, owner: str, trial: int | None = None) -> Ticket:
    return Ticket(100 + number, number, "taken", owner, trial)


DONE = Ticket(1, 0, "done", "gone", 3)
TABLE: dict[str, tuple[Findings, Verdict]] = {
    "nothing": (Findings(()), Verdict()),
    "a living driver is left alone": (Findings([taken(1, "me", 7)], started={7}, asked=[7]), Verdict()),
    "killed in a trial": (
        Findings([DONE, taken(1, "gone", 7)], started={7}, finished={3}, asked=[7]),
        Verdict(redo=(taken(1, "gone", 7),)),
    ),
    "killed between ticket and proposal": (Findings([taken(1, "gone")]), Verdict(give_back=(taken(1, "gone"),))),
    "killed while proposing": (Findings([taken(1, "gone")], asked=[8]), Verdict(give_back=(taken(1, "gone"),), forget=(8,))),
    "killed between binding and starting": (
        Findings([taken(1, "gone", 8)], asked=[8]),
        Verdict(give_back=(taken(1, "gone", 8),), forget=(8,)),
    ),
    "killed between writing and telling": (Findings([DONE], finished={3}, asked=[3]), Verdict(tell=(3,))),
    "somebody else may be proposing": (
        Findings([taken(1, "gone"), taken(2, "me")], asked=[8]),
        Verdict(give_back=(taken(1, "gone"),)),
    ),
    "another host, alive": (Findings([taken(1, "far", 7)], started={7}, asked=[7], quiet=True), Verdict()),
    "another host, its heartbeat stopped": (
        Findings([taken(1, "far", 7)], started={7}, failed={7}),
        Verdict(lose=(7,)),
    ),
    "another host, between ticket and proposal": (Findings([taken(1, "far")]), Verdict()),
    "another host, and nothing for a long time": (Findings([taken(1, "far")], quiet=True), Verdict(give_back=(taken(1, "far"),))),
    "another host, quiet in a long trial": (
        Findings([taken(1, "far", 7), taken(2, "far")], started={7}, asked=[7], quiet=True),
        Verdict(),
    ),
    "given up as stale before": (Findings([taken(1, "gone", 7)], started={7}, failed={7}), Verdict(lose=(7,))),
    "a trial without a ticket": (Findings([DONE], started={9}, asked=[9]), Verdict(lose=(9,))),
}


@pytest.mark.parametrize(("found", "verdict"), TABLE.values(), ids=TABLE)
def test_what_a_dead_driver_left(found: Findings, verdict: Verdict) -> None:
    assert assess(found, life) == verdict


owners = st.sampled_from(["me", "gone", "far"])


@given(
    held=st.lists(st.tuples(owners, st.one_of(st.none(), st.integers(0, 8))), max_size=6, unique_by=lambda t: t[1]),
    started=st.sets(st.integers(0, 8)),
    asked=st.sets(st.integers(0, 12)),
    failed=st.sets(st.integers(0, 8)),
    quiet=st.booleans(),
)
def test_no_ticket_is_dealt_with_twice_and_none_of_a_living_driver(
    held: list[tuple[str, int | None]], started: set[int], asked: set[int], failed: set[int], quiet: bool
) -> None:
    tickets = [taken(i, owner, trial) for i, (owner, trial) in enumerate(held)]
    verdict = assess(Findings(tickets, started, (), sorted(asked), failed, quiet), life)
    again, back = {t.number for t in verdict.redo}, {t.number for t in verdict.give_back}
    lost = {t.number for t in tickets if t.trial in verdict.lose}
    assert not again & back and not again & lost and not back & lost
    living = {t.number for t in tickets if t.owner == "me"}
    assert not living & (again | back | lost)
    assert again | back | lost >= {t.number for t in tickets if t.owner == "gone"}
    assert not verdict.forget or not living


def test_whose_driver_lives() -> None:
    mine = owner_name()
    host, pid, began, thread, numbering = mine.split("/")
    assert life_of(mine) == "dead"  # an earlier run in this very thread
    assert life_of(None) == life_of(RELEASED) == "dead"
    assert life_of(f"elsewhere-{host}/{pid}/{began}/{thread}/{numbering}") == "unknown"
    assert life_of(f"{host}/{pid}/{int(began) - 500}/{thread}/{numbering}") == "dead"  # the number was given to another process
    assert life_of(f"{host}/{2**22 + 1}/{began}/1/{numbering}") == "dead"
    assert life_of("nonsense") == life_of(f"{host}/{pid}/{began}") == "unknown"


def test_a_driver_on_another_host_of_the_same_name_is_not_dead() -> None:
    host, _, began, _, numbering = owner_name().split("/")
    boot, space = numbering.split(":")
    for there in (f"{boot}-of-a-clone:{space}", f"{boot}:{space}-of-a-container"):
        assert life_of(f"{host}/{2**22 + 1}/{began}/1/{there}") == "unknown"


def test_a_thread_of_this_process_lives_as_long_as_it_runs() -> None:
    named, over = threading.Event(), threading.Event()
    names: list[str] = []

    def run() -> None:
        names.append(owner_name())
        named.set()
        over.wait()

    thread = threading.Thread(target=run)
    thread.start()
    named.wait()
    assert life_of(names[0]) == "alive"
    over.set()
    thread.join()
    assert life_of(names[0]) == "dead"


def test_a_process_lives_as_long_as_it_runs() -> None:
    code = "from prunesearch.search.owners import owner_name; print(owner_name(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert child.stdout is not None
    owner = child.stdout.readline().strip()
    assert owner.startswith(f"{socket.gethostname()}/{child.pid}/")
    assert life_of(owner) == life_of(owner.rpartition("/")[0]) == "alive"  # the second as an earlier version named it
    child.communicate("\n")
    assert life_of(owner) == life_of(owner.rpartition("/")[0]) == "dead"


class Left(Bench):
    """A study that a driver left, with both sets of tables in hand."""

    memory: Memory
    space: SearchSpace

    def ask(self, owner: str, *, started: bool = True) -> int:
        """A trial asked, and started, by some driver."""
        ticket = self.store.take_ticket("s", 10, owner)
        assert ticket is not None
        asked = self.memory.ask(self.space, RandomSampler(seed=ticket.number))
        if started:
            assert self.store.bind_ticket(ticket, asked.number)
            self.store.start_trial("s", asked.number, ticket, asked.policy, asked.policy.digest, 0)
        return asked.number

    def states(self) -> dict[int, str]:
        return {t.number: t.state for t in self.store.tickets("s")}


@pytest.fixture
def left(bench: Bench) -> Iterator[Left]:
    found = Left(bench.store, bench.home)
    found.store.create_study("s", spec().to_dict(), info(), "1", {})
    storage = optuna_storage(bench.store.url)
    found.memory = Memory(storage, "s", {"accuracy": "maximize", "params": "minimize"})
    found.space = SearchSpace.of(spec(), info())
    yield found
    close_storage(storage)


DEAD = f"{socket.gethostname()}/{2**22 + 1}/1/1"


def test_status_tells_trials_that_run_from_those_that_were_left(left: Left) -> None:
    dead, released, own, elsewhere = (left.ask(owner) for owner in (DEAD, RELEASED, owner_name(), "other-host/1/1/1"))
    told = status("s", store=left.store.url)
    assert set(told.unfinished) == {dead, released, own}  # this thread waits for nothing
    assert set(told.running) == {elsewhere}
    assert dict(told.states) == {"running": 1, "unfinished": 3}


def test_a_dead_drivers_trials_are_taken_over(left: Left) -> None:
    running, half, written = left.ask(DEAD), left.ask(DEAD, started=False), left.ask(DEAD)
    left.store.record_result("s", written, result(), {}, True)
    found = reconcile(left.store, left.memory, "s", owner_name(), quiet=False)
    assert set(found.redo) == set(found.tickets) == {running}
    assert [r.number for r in found.tell] == [written]
    assert left.states() == {0: "taken", 1: "open", 2: "done"}
    assert left.store.tickets("s")[0].owner == owner_name()
    assert set(left.memory.unfinished()) == {running, written}
    assert left.memory.failed() == (half,)
    assert found.notes == ("1 unfinished trial(s) of an earlier run are run again",)


def test_released_trials_are_anybodys(left: Left) -> None:
    number = left.ask(RELEASED)
    assert set(reconcile(left.store, left.memory, "s", owner_name(), quiet=False).redo) == {number}


def test_a_long_dead_trial_of_this_host_is_run_again_and_one_of_another_host_given_up(left: Left) -> None:
    mine, theirs = left.ask(DEAD), left.ask("far/1/1/1")
    storage = left.memory._storage
    with storage.engine.begin() as connection:  # as if the last heartbeat had been long ago
        ago = f"-{GRACE_SECONDS + 60} seconds"
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = datetime('now', :ago)"), {"ago": ago})
    found = reconcile(left.store, left.memory, "s", owner_name(), quiet=True)
    assert set(found.redo) == {mine}
    assert left.states() == {0: "taken", 1: "open"}
    assert left.store.trial("s", theirs).state == "lost"
    assert left.memory.failed() == (theirs,)


def test_what_has_a_result_is_told_however_late(left: Left) -> None:
    written, own, half = left.ask("far/1/1/1"), left.ask(owner_name()), left.ask("far/1/1/1", started=False)
    left.store.record_result("s", written, result(), {}, True)
    with left.memory._storage.engine.begin() as connection:
        ago = f"-{GRACE_SECONDS + 60} seconds"
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = datetime('now', :ago)"), {"ago": ago})
    found = reconcile(left.store, left.memory, "s", owner_name(), quiet=True)
    assert [r.number for r in found.tell] == [written]
    assert set(left.memory.unfinished()) == {written, own}
    assert left.memory.failed() == (half,)


def test_a_living_host_elsewhere_is_left_alone(left: Left) -> None:
    left.ask("far/1/1/1")
    left.ask("far/1/1/1", started=False)
    found = reconcile(left.store, left.memory, "s", owner_name(), quiet=False)
    assert (found.redo, found.tell) == ({}, ())
    assert left.states() == {0: "taken", 1: "taken"}
    assert len(left.memory.unfinished()) == 2


def test_a_trial_that_begins_while_the_tables_are_read_is_left_alone(left: Left) -> None:
    waiting = {left.ask("far/1/1/1", started=False): ticket for ticket in range(4)}
    begun: list[int] = []

    def begin(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM prunesearch_tickets" in statement and len(begun) < len(waiting):
            number = list(waiting)[len(begun)]
            begun.append(number)
            with Store.open(left.store.url, write=True) as theirs:
                ticket, policy = theirs.tickets("s")[waiting[number]], Policy.parse({"epochs": 4})
                assert theirs.bind_ticket(ticket, number)
                theirs.start_trial("s", number, ticket, policy, policy.digest, 0)

    event.listen(left.store._engine, "after_cursor_execute", begin)
    found = reconcile(left.store, left.memory, "s", owner_name(), quiet=False)
    assert begun and found.redo == {}
    assert {left.store.trial("s", number).state for number in begun} == {"running"}
    assert left.memory.failed() == ()
    assert set(left.states().values()) == {"taken"}

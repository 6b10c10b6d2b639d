"""Eight real processes on one store: no ticket too many, no queued trial twice, no table made twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest

from prunesearch.errors import StudyError
from prunesearch.store import Store, studies
from prunesearch.store.connect import writing

WORKERS = Path(__file__).with_name("workers.py")
PROCESSES = 8


def together(verb: str, url: str, *rest: str, processes: int = PROCESSES) -> list[list[int]]:
    """What every one of several processes prints, started at the same time."""
    command = [sys.executable, str(WORKERS), verb, url, *rest]
    root = WORKERS.parents[2]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root, env=_environment(root))
        for _ in range(processes)
    ]
    done = [process.communicate(timeout=170) for process in started]
    assert [p.returncode for p in started] == [0] * processes, [err for _, err in done]
    return [json.loads(out) for out, _ in done]


def _environment(root: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_tickets_are_never_handed_out_twice_nor_beyond_the_total(url: str) -> None:
    with Store.open(url, write=True) as store:
        store.create_study("s", {}, None, "0", {})
        got = together("take", url, "s", "60")
        assert sorted(n for numbers in got for n in numbers) == list(range(60))
        tickets = store.tickets("s")
        assert [t.number for t in tickets] == list(range(60)) and {t.state for t in tickets} == {"taken"}
        assert store.take_ticket("s", 60, "late") is None


@pytest.mark.slow
def test_queued_trials_are_run_once_each(url: str, storages: Any) -> None:
    study = optuna.create_study(study_name="s", storage=storages(url), directions=["maximize", "minimize"])
    for x in range(64):
        study.enqueue_trial({"x": x})
    got = together("queue", url, "s", str(64 // PROCESSES))
    assert Counter(x for values in got for x in values) == Counter(range(64))


@pytest.mark.slow
def test_first_drivers_may_make_the_tables_at_the_same_time(url: str, storages: Any) -> None:
    together("open", url, "s", processes=4)
    with Store.open(url) as store:
        assert store.studies() == []
    optuna.create_study(study_name="s", storage=storages(url))
    assert optuna.get_all_study_names(storages(url, write=False)) == ["s"]


def test_of_two_who_make_a_study_at_the_same_time_one_is_told(store: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        with writing(store._engine) as connection:
            studies.create(connection, "s", {"by": "the first"}, None, "0", {})
            second = pool.submit(store.create_study, "s", {}, None, "0", {})
            time.sleep(0.3)  # it has found no study of that name by now, and waits
        with pytest.raises(StudyError, match="has a study 's' already"):
            second.result()
    assert [s.spec for s in store.studies()] == [{"by": "the first"}]


def test_lost_tickets_come_back_first(store: Store) -> None:
    store.create_study("s", {}, None, "0", {})
    taken = [store.take_ticket("s", 4, "a") for _ in range(4)]
    assert [t.number for t in taken if t] == [0, 1, 2, 3]
    assert store.take_ticket("s", 4, "b") is None
    for number in (2, 1):
        ticket = taken[number]
        assert ticket is not None and store.return_ticket(ticket)
    again = [store.take_ticket("s", 6, "b") for _ in range(5)]
    assert [t.number if t else None for t in again] == [1, 2, 4, 5, None]


def test_a_smaller_total_is_kept_to(store: Store) -> None:
    store.create_study("s", {}, None, "0", {})
    taken = [store.take_ticket("s", 4, "a") for _ in range(4)]
    for ticket in taken:
        assert ticket is not None and store.return_ticket(ticket)
    again = [store.take_ticket("s", 2, "b") for _ in range(3)]
    assert [t.number if t else None for t in again] == [0, 1, None]


def test_only_the_holder_may_act_on_a_ticket(store: Store) -> None:
    store.create_study("s", {}, None, "0", {})
    mine = store.take_ticket("s", 1, "a")
    assert mine is not None and store.return_ticket(mine)
    assert not store.return_ticket(mine)
    theirs = store.take_ticket("s", 1, "b")
    assert theirs is not None and theirs.id == mine.id
    assert not store.bind_ticket(mine, 5) and not store.return_ticket(mine) and not store.adopt_ticket(mine, "c")
    assert store.bind_ticket(theirs, 6)
    assert [(t.owner, t.trial, t.state) for t in store.tickets("s")] == [("b", 6, "taken")]


def test_a_lost_trial_gives_its_ticket_back(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    ticket = store.take_ticket("s", 1, "a")
    assert ticket is not None and store.bind_ticket(ticket, 0)
    store.start_trial("s", 0, ticket, parts.policy(), "d", 0)
    assert store.lose_trial("s", 0, "its worker was killed")
    assert store.trial("s", 0).reason == "its worker was killed" and store.trial("s", 0).result is None
    assert store.record_result("s", 0, parts.result(), {}, True) is False
    found = store.take_ticket("s", 1, "b")
    assert found is not None and (found.id, found.trial) == (ticket.id, None)


def test_tickets_of_two_studies_do_not_mix(store: Store) -> None:
    for name in ("a", "b"):
        store.create_study(name, {}, None, "0", {})
    numbers = [t.number for name in ("a", "b", "a") if (t := store.take_ticket(name, 2, "me"))]
    assert numbers == [0, 0, 1]

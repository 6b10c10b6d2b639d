"""What is put into the store comes out again, on SQLite and on PostgreSQL, in one transaction per result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError

from prunesearch.catalogue import CriterionInfo
from prunesearch.errors import StoreError, StudyError, TrialError
from prunesearch.policy import Policy
from prunesearch.results import EpochRow, Result
from prunesearch.store import Store


def test_a_study_comes_out_as_it_went_in(store: Store, parts: Any) -> None:
    spec = {"name": "s", "ü": [1.5, None], "space": {"threshold": {"low": 1e-4, "high": 0.9}}}
    made = store.create_study("s", spec, parts.info(), "0.1.0", {"torch": "2.14"})
    assert made == store.study("s") == store.study() == store.studies()[0]
    assert (made.name, made.spec, made.info, made.environment) == ("s", spec, parts.info(), {"torch": "2.14"})
    assert made.dense is None and made.dense_seconds is None
    assert abs((datetime.now(UTC) - datetime.fromisoformat(made.created_at)).total_seconds()) < 60


def test_a_study_can_be_made_before_its_task_is_known(store: Store, parts: Any) -> None:
    assert store.create_study("s", {}, None, "0", {}).info is None
    store.set_info("s", parts.info())
    store.set_spec("s", {"trials": 20})
    assert store.set_dense("s", parts.dense(), 2.5)
    found = store.study("s")
    assert (found.info, found.dense, found.dense_seconds, found.spec) == (parts.info(), parts.dense(), 2.5, {"trials": 20})


def test_the_dense_reference_that_is_stored_first_stays(store: Store, parts: Any) -> None:
    parts.fill(store)
    before = store.study("s")
    assert not store.set_dense("s", replace(parts.dense(), signature="another"), 9.0)
    assert store.study("s") == before


def test_the_latest_study_is_the_one_last_written_to(store: Store, parts: Any) -> None:
    store.create_study("old", {}, None, "0", {})
    store.create_study("new", {}, None, "0", {})
    assert store.study().name == "new"
    parts.run(store, "old", parts.result())
    assert store.study().name == "old"
    assert [s.name for s in store.studies()] == ["old", "new"]


def test_a_second_study_of_the_same_name_is_refused(store: Store) -> None:
    store.create_study("s", {"a": 1}, None, "0", {})
    with pytest.raises(StudyError, match="already"):
        store.create_study("s", {"a": 2}, None, "0", {})
    assert store.study("s").spec == {"a": 1}


@pytest.mark.parametrize(
    "method", ["study", "counts", "tickets", "trials", "tickets_and_trials", "running", "front", "front_history"]
)
def test_an_unknown_study_is_told_with_what_is_close(store: Store, method: str) -> None:
    store.create_study("fashion-small", {}, None, "0", {})
    with pytest.raises(StudyError) as told:
        getattr(store, method)("fashion-smal")
    assert "'fashion-smal'" in told.value.message and "did you mean 'fashion-small'?" in (told.value.hint or "")


def test_an_empty_store_has_no_latest_study(store: Store) -> None:
    with pytest.raises(StudyError, match="no study yet"):
        store.study()
    assert store.studies() == []


def test_a_trial_comes_out_as_it_went_in(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    result = parts.result()
    number = parts.run(store, "s", result)
    found = store.trial("s", number)
    assert found.result == result
    assert found.policy == parts.policy(0.1) and found.policy.digest == found.digest
    assert (found.ticket, found.feasible, found.violations, found.seed) == (0, True, {"params": -1.0}, 0)
    assert found.finished_at is not None and found.started_at <= found.finished_at
    assert store.trials("s") == [replace(found, epochs=(), layers=())]
    assert store.counts("s") == {"complete": 1}


def test_numbers_that_are_not_numbers_survive(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    epochs = (EpochRow(0, math.nan, 0.1, 1e-3, 0.0, 1.0), EpochRow(1, math.inf, math.nan, 1e-3, 0.0, 1.0))
    measures = replace(parts.measures(latency_ms=None), accuracy=math.nan, macs=3 * 10**12)
    result = Result("infeasible", measures, epochs=epochs, reason="NaN", report={"f1": [math.nan, 1.0]})
    found = store.trial("s", parts.run(store, "s", result, feasible=False))
    assert math.isnan(found.epochs[0].loss) and found.epochs[1].loss == math.inf and math.isnan(found.epochs[1].accuracy)
    assert found.measures is not None and math.isnan(found.measures.accuracy) and found.measures.macs == 3 * 10**12
    assert found.measures.latency_ms is None
    assert found.report == {"f1": [None, 1.0]}
    with store._engine.connect() as connection:  # NULL, so that averages in SQL leave it out
        assert connection.execute(text("SELECT count(*), count(loss) FROM prunesearch_epochs")).one() == (2, 1)


def test_a_failure_has_a_reason_and_no_measures(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    failed = Result("failed", None, reason="ValueError: no", trace="Traceback ...\n  line", device="cpu")
    found = store.trial("s", parts.run(store, "s", failed, feasible=False))
    assert found.result == failed and found.feasible is False
    assert store.counts("s") == {"failed": 1}


def test_what_is_recorded_first_stays(store: Store, parts: Any) -> None:
    parts.fill(store, figures=((0.9, 100),))
    assert store.record_result("s", 0, parts.result(0.1, 1), {}, False) is False
    assert store.trial("s", 0).measures == parts.measures(0.9, 100)
    assert store.lose_trial("s", 0, "late") is False
    with pytest.raises(StoreError, match="result already"):
        store.start_trial("s", 0, None, parts.policy(), "d", 0)


def test_a_result_that_was_settled_by_fewer_trials_than_there_are_is_not_written(store: Store, parts: Any) -> None:
    parts.fill(store)
    known = store.ended("s")
    store.start_trial("s", 7, store.take_ticket("s", 10, "me"), parts.policy(), "d", 0)
    parts.run(store, "s", parts.result(0.95, 20))
    assert not store.record_result("s", 7, parts.result(), {}, True, of=known) and store.trial("s", 7).state == "running"
    assert store.record_result("s", 7, parts.result(), {}, True, of=known + 1) and store.ended("s") == known + 2


def test_a_result_is_written_whole_or_not_at_all(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    ticket = store.take_ticket("s", 10, "me")
    store.start_trial("s", 0, ticket, parts.policy(), "d", 0)
    twice = replace(parts.result(), epochs=(EpochRow(0, 1.0, 0.5, 1e-3, 0.0, 1.0),) * 2)
    with pytest.raises(StoreError):
        store.record_result("s", 0, twice, {}, True)
    assert [t.state for t in store.running("s")] == ["running"]
    assert [t.state for t in store.tickets("s")] == ["taken"]
    assert store.record_result("s", 0, parts.result(), {}, True)
    assert [t.state for t in store.tickets("s")] == ["done"]


def test_an_unfinished_trial_runs_again_under_its_own_number(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    ticket = store.take_ticket("s", 10, "first")
    assert ticket is not None and store.bind_ticket(ticket, 0)
    store.start_trial("s", 0, ticket, parts.policy(0.5), "d", 0)
    left = store.running("s")[0]
    assert (left.number, left.ticket, left.policy) == (0, 0, parts.policy(0.5))
    assert store.adopt_ticket(store.tickets("s")[0], "second")
    again = store.tickets("s")[0]
    assert (again.owner, again.trial) == ("second", 0)
    store.start_trial("s", 0, again, parts.policy(0.5), "d", 0)
    assert store.record_result("s", 0, parts.result(), {}, True)
    assert store.counts("s") == {"complete": 1}


def test_tickets_and_trials_are_of_one_moment(store: Store, url: str, parts: Any) -> None:
    parts.fill(store)

    def begin(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM prunesearch_tickets" in statement:
            with Store.open(url, write=True) as other:
                ticket = other.take_ticket("s", 10, "other")
                assert ticket is not None and other.bind_ticket(ticket, ticket.number)
                other.start_trial("s", ticket.number, ticket, parts.policy(), "d", 0)

    event.listen(store._engine, "after_cursor_execute", begin)
    tickets, trials = store.tickets_and_trials("s")
    assert [t.number for t in trials] == [t.trial for t in tickets] == [0, 1]
    assert [t.number for t in store.trials("s")] == [0, 1, 2]


@pytest.mark.parametrize("call", ["trial", "record", "lose"])
def test_an_unknown_trial_is_told(store: Store, parts: Any, call: str) -> None:
    parts.fill(store)
    calls: dict[str, Callable[[], object]] = {
        "trial": lambda: store.trial("s", 99),
        "record": lambda: store.record_result("s", 99, parts.result(), {}, True),
        "lose": lambda: store.lose_trial("s", 99, "gone"),
    }
    with pytest.raises(TrialError, match="no trial 99"):
        calls[call]()


def test_a_known_policy_is_answered_and_failures_are_not(store: Store, parts: Any) -> None:
    parts.fill(store, figures=((0.9, 100),))
    digest = parts.policy(0.1).digest
    found = store.find_result("s", digest, 0)
    assert found == store.trial("s", 0)
    assert store.find_result("s", digest, 1) is None
    parts.run(store, "s", Result("failed", None, reason="out of memory"), feasible=False)
    assert store.find_result("s", parts.policy(0.101).digest, 0) is None


def test_a_stored_policy_of_an_unloaded_plug_in_can_be_read(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    policy = Policy.model_construct(None, **parts.policy().model_dump() | {"criterion": CriterionInfo("mine", "", "").name})
    store.start_trial("s", 0, None, policy, "d", 0)
    assert store.trial("s", 0).policy.to_dict()["criterion"] == "mine"


def test_fronts_are_kept_in_the_order_of_their_changes(store: Store, parts: Any) -> None:
    parts.fill(store, figures=())
    store.record_front("s", 3, [3], 0.1, of=store.ended("s"))
    store.record_front("s", 1, [1, 3], 0.2, of=store.ended("s"))
    store.record_front("s", 1, [1, 2, 3], None, of=store.ended("s"))
    assert [(f.after_trial, f.members, f.hypervolume) for f in store.front_history("s")] == [(3, (3,), 0.1), (1, (1, 2, 3), None)]


def test_a_front_of_fewer_trials_than_there_are_is_not_recorded(store: Store, parts: Any) -> None:
    parts.fill(store)
    known = store.ended("s")
    parts.run(store, "s", parts.result(0.95, 20))
    assert not store.record_front("s", 0, [0], 0.5, of=known) and store.front_history("s") == []
    assert store.record_front("s", 0, [0], 0.5, of=known + 1) and len(store.front_history("s")) == 1


def test_the_front_of_a_study(store: Store, parts: Any) -> None:
    parts.fill(store, figures=((0.9, 100), (0.8, 50), (0.85, 200)))
    parts.run(store, "s", parts.result(0.99, 1), feasible=False)
    front = store.front("s")
    assert front.trials == (0, 1) and front.study == "s" and front.device == "cpu"
    assert front.dense == parts.dense().measures and dict(front.directions) == {"accuracy": "maximize", "params": "minimize"}
    assert front == store.front()


def test_a_recorded_hypervolume_is_used_only_for_the_same_front(store: Store, parts: Any) -> None:
    parts.fill(store)
    store.record_front("s", 1, [1, 0], 0.75, of=store.ended("s"))
    assert store.front("s").to_dict()["hypervolume"] == 0.75
    parts.run(store, "s", parts.result(0.95, 20))
    assert store.front("s").recorded is None
    assert store.front("s").to_dict()["hypervolume"] == pytest.approx(store.front("s").hypervolume())


def test_the_database_itself_refuses_orphans_and_doubles(store: Store, url: str, parts: Any) -> None:
    parts.fill(store)
    engine = store._engine
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO prunesearch_layers VALUES (999, 0, 'fc', 'weight', 1, 2)"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO prunesearch_tickets VALUES (77, 1, 0, 'open', NULL, NULL, 'now')"))


def test_removing_a_study_leaves_nothing_of_it(store: Store, parts: Any) -> None:
    parts.fill(store)
    store.record_front("s", 0, [0], 0.5, of=store.ended("s"))
    with store._engine.begin() as connection:
        connection.execute(text("DELETE FROM prunesearch_studies"))
        for table in inspect(connection).get_table_names():
            if table.startswith("prunesearch_") and table != "prunesearch_meta":
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_another_program_sees_measures_as_columns_and_times_as_iso(store: Store, parts: Any) -> None:
    parts.fill(store)
    engine = create_engine(store._engine.url)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM prunesearch_trials WHERE number = 0")).mappings().one()
        dense = connection.execute(text("SELECT dense_accuracy, dense_params FROM prunesearch_studies")).one()
    engine.dispose()
    assert (row["accuracy"], row["params"], row["latency_ms"], row["seconds_train"]) == (0.9, 100, 0.5, 1.0)
    assert tuple(dense) == (0.97, 1000)
    assert row["started_at"].endswith("+00:00")
    assert datetime.fromisoformat(row["started_at"]) <= datetime.now(UTC)

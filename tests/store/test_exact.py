"""What was measured again in exact numerics: written once, read back whole, copied, and absent from stores of version 1."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import inspect, text

from prunesearch.errors import StoreError
from prunesearch.results import DENSE, Result
from prunesearch.store import SCHEMA_VERSION, Store

FAST = ((0.9, 100), (0.8, 50))


@pytest.fixture
def fast(store: Store, parts: Any) -> Store:
    """A study in fast numerics with two trials on its front."""
    parts.fill(store, "s", FAST)
    store.set_spec("s", {**store.study("s").spec, "numerics": "fast"})
    return store


def again(store: Store, parts: Any, *figures: tuple[int, float, int]) -> None:
    for number, accuracy, params in figures:
        assert store.record_exact("s", number, parts.result(accuracy, params), {"params": -1.0}, feasible=True)


def test_what_is_written_comes_back_and_the_first_word_stays(fast: Store, parts: Any) -> None:
    result = parts.result(0.91, 100)
    odd = replace(result, state="infeasible", reason="not so", measures=replace(result.measures, latency_ms=math.nan))
    assert fast.record_exact("s", 1, odd, {"accuracy": 0.02}, feasible=False)
    assert not fast.record_exact("s", 1, result, {}, feasible=True)
    (found,) = fast.exact("s").values()
    kept = replace(odd, measures=replace(odd.measures, latency_ms=None), epochs=(), timings=Result("failed", None).timings)
    assert (found.number, found.feasible, found.violations, found.result) == (1, False, {"accuracy": 0.02}, kept)


def test_the_front_is_fast_until_all_of_it_is_measured_again(fast: Store, parts: Any) -> None:
    assert fast.front("s").numerics == "fast"
    again(fast, parts, (DENSE, 0.95, 1000), (0, 0.7, 100))
    assert fast.front("s").numerics == "fast"
    assert [row.measures.accuracy for row in fast.front("s")] == [0.9, 0.8]
    again(fast, parts, (1, 0.75, 50))
    front = fast.front("s")
    assert (front.numerics, front.trials) == ("remeasured", (1,))  # the first one is dominated by exact figures
    assert front.dense is not None and (front.dense.accuracy, front[0].measures.accuracy) == (0.95, 0.75)


def test_the_front_knows_which_way_a_metric_is_better_that_is_no_objective(fast: Store, parts: Any) -> None:
    fast.set_spec("s", {**fast.study("s").spec, "objectives": ["params"]})
    fast.set_info("s", replace(parts.info(), direction="minimize"))
    assert (fast.front("s").numerics, fast.front("s").metric) == ("fast", "minimize")
    again(fast, parts, (DENSE, 0.95, 1000), (1, 0.75, 50))
    assert (fast.front("s").numerics, fast.front("s").metric) == ("remeasured", "minimize")


def test_exact_studies_have_the_figures_of_their_trials(store: Store, parts: Any) -> None:
    parts.fill(store, "s", FAST)
    again(store, parts, (DENSE, 0.95, 1000), (0, 0.7, 100), (1, 0.75, 50))
    assert (store.front("s").numerics, store.front("s").trials) == ("exact", (0, 1))


def test_it_is_copied(fast: Store, parts: Any) -> None:
    again(fast, parts, (DENSE, 0.95, 1000), (1, 0.75, 50))
    fast.copy_study("s", fast, "copy")
    assert fast.exact("copy") == fast.exact("s")


def test_a_store_of_version_1_is_read_as_it_is_and_gets_the_table_when_it_is_written(url: str, parts: Any) -> None:
    with Store.open(url, write=True) as store:
        parts.fill(store, "s", FAST)
        with store._engine.begin() as connection:
            connection.execute(text("DROP TABLE prunesearch_exact"))
            connection.execute(text("UPDATE prunesearch_meta SET value = '1' WHERE key = 'schema_version'"))
    with Store.open(url) as store:
        assert (store.exact("s"), store.front("s").trials) == ({}, (0, 1))
        with pytest.raises(StoreError):
            store.record_exact("s", 0, parts.result(), {}, feasible=True)
    with Store.open(url, write=True) as store, store._engine.connect() as connection:
        assert inspect(connection).has_table("prunesearch_exact")
        versions = list(connection.execute(text("SELECT value FROM prunesearch_meta WHERE key = 'schema_version'")).scalars())
    assert versions == [str(SCHEMA_VERSION)]

"""docs/store.md says what is true: its tables are the schema's, and each of its queries answers on a real store."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, text

from prunesearch.results import Measures, Result, Timings
from prunesearch.store import Store
from prunesearch.store.describe import refreshed
from prunesearch.store.schema import metadata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "store.md"
QUERIES = re.findall(r"```sql\n(.*?);\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
FIGURES = ((0.9, 100), (0.96, 300), (0.95, 200), (0.95, 250), (0.5, 20), (0.955, 300))


@pytest.fixture
def filled(store: Store, parts: Any) -> Store:
    """A study with good trials, one infeasible and one failed, and another study that must not show through."""
    parts.fill(store, "other", ((0.99, 1),))
    parts.fill(store, "quickstart", FIGURES)
    timings = Timings(train=1.0, validate=0.25, latency=0.25, wait=1.0, other=0.25)
    parts.run(store, "quickstart", replace(parts.result(0.97, 10), timings=timings), feasible=False)
    parts.run(store, "quickstart", Result("failed", None, reason="RuntimeError: no"), feasible=False)
    return store


def run(store: Store, number: int) -> list[Row[Any]]:
    with store._engine.connect() as connection:
        return list(connection.execute(text(QUERIES[number])).all())


def measured(store: Store, *numbers: int) -> list[Measures]:
    return [m for n in numbers if (m := store.trial("quickstart", n).measures)]


def test_the_page_lists_the_tables_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert refreshed(page) == page, "run: python -m prunesearch.store.describe docs/store.md"


def test_every_table_and_column_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    columns = [(table, column) for table in metadata.sorted_tables for column in table.columns]
    assert len(columns) > 80
    assert not [f"{t.name}.{c.name}" for t, c in columns if not (t.comment and c.comment) or f"| {c.name} |" not in page]


def test_there_are_five_queries() -> None:
    assert len(QUERIES) == 5


def test_the_front_by_sql_is_the_front(filled: Store) -> None:
    found = run(filled, 0)
    assert sorted(row.number for row in found) == list(filled.front("quickstart").trials) == [0, 1, 2, 4]
    policy = found[0].policy if isinstance(found[0].policy, dict) else json.loads(found[0].policy)
    assert policy == filled.trial("quickstart", 4).policy.to_dict()


def test_the_smallest_by_sql(filled: Store) -> None:
    found = run(filled, 1)
    dense = filled.study("quickstart").dense
    assert dense is not None and dense.measures.latency_ms is not None
    assert [row.number for row in found] == [2, 3, 1, 5]
    for row, m in zip(found, measured(filled, 2, 3, 1, 5), strict=True):
        assert m.latency_ms is not None
        assert row.change == pytest.approx(m.accuracy - dense.measures.accuracy)
        assert float(row.times_smaller) == pytest.approx(dense.measures.params / m.params)
        assert row.times_faster == pytest.approx(dense.measures.latency_ms / m.latency_ms)


def test_choices_by_sql(filled: Store) -> None:
    found = run(filled, 2)
    trials = filled.trials("quickstart", "complete")
    assert [tuple(row[:4]) for row in found] == [("weight", "magnitude_percentage", "gradual", len(trials))]
    accuracy = [t.measures.accuracy for t in trials if t.measures]
    assert found[0].accuracy == pytest.approx(math.fsum(accuracy) / len(accuracy))


def test_layers_by_sql(filled: Store) -> None:
    found = run(filled, 3)
    kept = [filled.trial("quickstart", n).layers for n in (1, 2, 3, 5)]
    assert [(row.name, row.kind, row.trials) for row in found] == [("fc1", "weight", 4), ("fc2", "weight", 4)]
    for i, row in enumerate(found):
        assert float(row.kept) == pytest.approx(sum(layers[i].kept / layers[i].total for layers in kept) / len(kept))


def test_endings_by_sql(filled: Store) -> None:
    complete, failed = run(filled, 4)
    assert tuple(complete[:3]) == ("complete", None, 7) and tuple(failed[:3]) == ("failed", "RuntimeError: no", 1)
    assert complete.seconds == pytest.approx(7 * 1.5)
    assert complete.overhead == pytest.approx(1 - (6 * 1.25 + 1.5) / (6 * 1.5 + 2.75))  # latency is evaluation, waiting is not
    assert failed.seconds is None and failed.overhead is None

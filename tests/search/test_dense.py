"""The dense reference: a database that is away does not lose it, and drivers that measure it at a time go on with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prunesearch.errors import StoreError
from prunesearch.results import DENSE, Job, Result
from prunesearch.search import events
from prunesearch.store import Store
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import Wrapped


def test_a_database_that_is_away_for_a_moment_does_not_lose_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, away = Store.set_dense, [StoreError("store: gone")]

    def set_dense(self: Store, *given: Any) -> bool:
        if away:
            raise away.pop()
        return real(self, *given)

    monkeypatch.setattr(Store, "set_dense", set_dense)
    engine = Wrapped(lambda _, result: result)
    assert bench.search(spec(trials=2), engine=engine, patience=5.0).done == 2
    assert [job.number for job in engine.jobs] == [DENSE, 0, 1]
    assert "store: gone; trying again for up to 5 s" in [warned.text for warned in bench.told(events.Warned)]


def test_drivers_that_measure_it_at_the_same_time_go_on_with_the_one_that_is_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(job: Job, result: Result) -> Result:
        if job.number != DENSE or result.measures is None:
            return result
        return replace(result, measures=replace(result.measures, accuracy=0.5))

    real, begun = Store.set_dense, list[str]()

    def late(self: Store, study: str, *given: Any) -> bool:
        if not begun:
            begun.append(study)
            bench.search(spec(trials=2))
        return real(self, study, *given)

    monkeypatch.setattr(Store, "set_dense", late)
    ours = bench.search(spec(trials=4), engine=Wrapped(worse)).dense
    stored = bench.store.study("s").dense
    assert stored is not None and stored.measures.accuracy > 0.5
    assert ours == stored
    assert [(e.measured, e.dense) for e in bench.told(events.DenseDone)] == [(True, stored), (False, stored)]

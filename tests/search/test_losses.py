"""Databases that go away, engines that give up, results that come late: nothing is lost, and all is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import EnvironmentFailure, StoreError
from prunesearch.results import Job, Outcome
from prunesearch.search import events
from prunesearch.search.heart import Heart
from prunesearch.search.owners import RELEASED
from prunesearch.store import ENDED, Store
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import Wrapped, optuna_trials


def test_a_dead_database_loses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Store.record_result, Counter[str]()

    def away(self: Store, *given: Any, **named: Any) -> bool:
        calls["record"] += 1
        if calls["record"] in (3, 4):  # twice away: patience is enough
            raise StoreError("store: gone")
        if calls["record"] > 6:
            raise StoreError("store: gone for good")
        return real(self, *given, **named)

    monkeypatch.setattr(Store, "record_result", away)
    with pytest.raises(StoreError, match="gone for good") as caught:
        bench.search(spec(trials=8), patience=1.0)
    assert "the same command writes it" in str(caught.value.hint)
    assert len(bench.store.trials("s", *ENDED)) == 4
    monkeypatch.setattr(Store, "record_result", real)
    outcome = bench.search(spec(trials=8))
    assert outcome.done == 8
    started = Counter(e.number for e in bench.told(events.TrialStarted))
    assert set(started.values()) == {1}  # the one that was kept in a file was not run again
    assert {t.state for t in optuna_trials(bench)} == {TrialState.COMPLETE}


def test_a_result_is_told_though_the_database_went_away_before_it_said_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Store.record_result, Counter[str]()

    def unheard(self: Store, *given: Any, **named: Any) -> bool:
        calls["record"] += 1
        written = real(self, *given, **named)
        if calls["record"] == 3:
            raise StoreError("store: gone")
        return written

    monkeypatch.setattr(Store, "record_result", unheard)
    bench.search(spec(trials=6), patience=1.0)
    assert sorted(e.number for e in bench.told(events.TrialFinished)) == list(range(6))
    assert not any("dropped" in e.text for e in bench.told(events.Warned))
    assert {t.state for t in optuna_trials(bench)} == {TrialState.COMPLETE}


class Troubled(Wrapped):
    """An engine of three slots that takes all jobs, and then has this to say; what follows is for nobody."""

    slots = 3

    def __init__(self, said: Callable[[list[Job]], list[Any]]) -> None:
        super().__init__(lambda _, result: result)
        self._said, self._left = said, list[Any]()
        self._asked = False

    def next(self, timeout: float | None = None) -> Outcome | None:
        if self.jobs[-1].policy is None:  # the dense reference
            return super().next(timeout)
        if not self._asked:
            self._asked, self._left = True, self._said(self.jobs[1:])
        if not self._left:
            raise LookupError("no more")
        found = self._left.pop(0)
        if isinstance(found, Exception):
            raise found
        outcome: Outcome = found
        return outcome


def test_results_behind_several_errors_are_kept(bench: Bench) -> None:
    """Every worker that dies has its own error, and another may have finished a trial meanwhile."""

    def said(jobs: list[Job]) -> list[Any]:
        with FakeEngine(EngineSpec("digits-mlp", workers=1)) as fake:
            fake.submit(jobs[2])
            return [EnvironmentFailure("one died"), EnvironmentFailure("another died"), fake.next()]

    with pytest.raises(EnvironmentFailure, match="one died"):
        bench.search(spec(trials=3), engine=Troubled(said))
    assert all(t.owner == RELEASED for t in bench.store.tickets("s") if t.state == "taken")
    bench.search(spec(trials=3))
    assert sorted(Counter(e.number for e in bench.told(events.TrialStarted)).items()) == [(0, 2), (1, 2), (2, 1)]
    assert {t.state for t in optuna_trials(bench)} == {TrialState.COMPLETE}


def test_trials_that_wait_to_be_run_again_have_a_heartbeat(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentFailure, match="all died"):
        bench.search(spec(trials=3), engine=Troubled(lambda _: [EnvironmentFailure("all died")]))
    alive: list[frozenset[int]] = []
    monkeypatch.setattr(Heart, "of", lambda _, numbers: alive.append(frozenset(numbers)))
    bench.search(spec(trials=3, workers=1))
    assert alive[0] == {0, 1, 2}

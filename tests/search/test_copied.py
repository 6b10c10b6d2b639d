"""A copy of a study is searched on as the study itself would be, wherever that was left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from prunesearch.api.definitions import definition
from prunesearch.results import Job, Result
from prunesearch.search import events
from prunesearch.store import Store, copying
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import Wrapped


def killed(bench: Bench, at: int, trials: int = 4) -> None:
    """A study whose driver died in one of its trials."""

    def die(job: Job, result: Result) -> Result:
        if job.number == at:
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        bench.search(spec(trials=trials, workers=1), engine=Wrapped(die))


def killed_elsewhere(bench: Bench) -> None:
    """A study whose driver, on another host, died in trial 2."""
    killed(bench, 2)
    with bench.store._engine.begin() as connection:
        connection.execute(text("UPDATE prunesearch_tickets SET owner = 'elsewhere/1/1/1' WHERE state = 'taken'"))


@pytest.mark.parametrize("beside", [True, False])
def test_a_copy_goes_on_under_its_own_name(bench: Bench, tmp_path: Path, beside: bool) -> None:
    killed_elsewhere(bench)
    url = bench.store.url if beside else f"sqlite:///{tmp_path / 'other.db'}"
    with Store.open(url, write=True) as target:
        bench.store.copy_study("s", target, "twin")
        copy = Bench(target, bench.home)
        outcome = copy.search(definition("twin", store=url))
        assert (outcome.study, outcome.done, outcome.total) == ("twin", 4, 4)
        assert {r.state for r in target.trials("twin")} == {"complete"}
        assert [(e.number, e.again) for e in copy.told(events.TrialStarted)] == [(2, True), (3, False)]
    assert [r.state for r in bench.store.trials("s")] == ["complete", "complete", "running"]


@pytest.mark.parametrize("before", [True, False])
def test_a_copy_of_a_study_that_is_searched_on_meanwhile_goes_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """While Optuna's tables are copied, before or after they are read, trial 2 ends, 3 begins and ends, and 4 begins."""
    real = copying._fill

    def busy(*given: Any) -> None:
        if before:
            killed(bench, 4, trials=6)
        real(*given)
        if not before:
            killed(bench, 4, trials=6)

    killed(bench, 2, trials=6)
    monkeypatch.setattr(copying, "_fill", busy)
    with Store.open(f"sqlite:///{tmp_path / 'other.db'}", write=True) as target:
        bench.store.copy_study("s", target, "twin")
        assert [r.state for r in target.trials("twin")] == ["complete", "complete", "running"]
        copy = Bench(target, bench.home)
        assert copy.search(spec(name="twin", trials=6)).done == 6
        assert [t.state for t in target.tickets("twin")] == ["done"] * 6
        assert [e.number for e in copy.told(events.TrialStarted) if e.again] == [2]
    assert [r.state for r in bench.store.trials("s")] == ["complete"] * 4 + ["running"]

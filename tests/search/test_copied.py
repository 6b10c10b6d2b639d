"""A copy of a study is searched on as the study itself would be, wherever that was left."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from prunesearch.api.definitions import definition
from prunesearch.results import Job, Result
from prunesearch.search import events
from prunesearch.store import Store
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import Wrapped


def killed_elsewhere(bench: Bench) -> None:
    """A study whose driver, on another host, died in trial 2."""

    def die(job: Job, result: Result) -> Result:
        if job.number == 2:
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        bench.search(spec(trials=4, workers=1), engine=Wrapped(die))
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

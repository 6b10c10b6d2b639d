"""The front of a study in fast numerics, measured again in exact: what is run, what is said of it, how it goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import prunesearch as ps
from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import StudyError
from prunesearch.front import Front
from prunesearch.report.points import study_figure
from prunesearch.report.tables import front_table
from prunesearch.results import DENSE, Job, Outcome, Result
from prunesearch.search import events
from prunesearch.spec import StudySpec
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import optuna_trials

LOST = "worker 0 was killed"


def said(**fields: Any) -> StudySpec:
    return spec(**{"trials": 12, "numerics": "fast", "objectives": ["accuracy", "params"], **fields})


class Exact(FakeEngine):
    """Fake figures, a tenth of a point higher in exact numerics; `change` may do more to an exact outcome."""

    def __init__(self, change: Callable[[Outcome], Outcome] = lambda outcome: outcome, workers: int = 2) -> None:
        super().__init__(EngineSpec("digits-mlp", workers=workers, numerics="fast"))
        self.change, self.jobs = change, list[Job]()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        super().submit(job)

    def next(self, timeout: float | None = None) -> Outcome | None:
        outcome = super().next(timeout)
        if outcome is None or not outcome.job.exact or outcome.result is None:
            return outcome
        return self.change(replace(outcome, result=shifted(outcome.result, 0.001)))

    @property
    def exact(self) -> list[int]:
        return [job.number for job in self.jobs if job.exact]


def shifted(result: Result, by: float) -> Result:
    assert result.measures is not None
    return replace(result, measures=replace(result.measures, accuracy=result.measures.accuracy + by))


def test_the_front_is_measured_again_and_the_trials_stay(bench: Bench) -> None:
    engine = Exact()
    outcome = bench.search(said(), engine=engine)
    members = bench.store.front_history("s")[-1].members
    assert engine.exact[0] == DENSE
    assert sorted(engine.exact[1:]) == list(members)
    assert [job.number for job in engine.jobs if not job.exact] == [DENSE, *range(12)]
    assert len(optuna_trials(bench)) == len(bench.store.trials("s")) == len(bench.store.tickets("s")) == outcome.done == 12
    for job in engine.jobs:
        if job.exact and job.number >= 0:
            trial = bench.store.trial("s", job.number)
            assert (job.policy, job.seed) == (trial.policy, trial.seed)
    fast = {t.number: t.measures for t in bench.store.trials("s") if t.measures}
    assert outcome.front.numerics == "remeasured"
    assert outcome.front.trials == members
    assert all(row.measures.accuracy == pytest.approx(fast[row.trial].accuracy + 0.001) for row in outcome.front)
    dense = bench.store.study("s").dense
    assert dense is not None and outcome.front.dense is not None
    assert outcome.front.dense.accuracy == pytest.approx(dense.measures.accuracy + 0.001)
    assert [e.total for e in bench.told(events.Remeasured)] == [len(members) + 1] * (len(members) + 1)


def test_who_reads_sees_which_figures_they_are(bench: Bench) -> None:
    titles = {}
    for numerics in ("exact", "fast"):
        bench.search(said(name=numerics, numerics=numerics), engine=Exact())
        front = ps.front(numerics, store=bench.store.url)
        titles[numerics] = front_table(front).title
        assert front.to_dict()["numerics"] == {"exact": "exact", "fast": "remeasured"}[numerics]
    assert "numerics" not in titles["exact"]
    assert "measured again in exact" in titles["fast"]
    bench.search(said(name="cut"), engine=Exact(interrupting(1)))
    assert "figures of fast numerics" in front_table(ps.front("cut", store=bench.store.url)).title


def test_the_figure_has_the_figures_of_the_front_that_it_shows(bench: Bench) -> None:
    """One member breaks the constraint in exact numerics: it leaves the front, and is not drawn above it in fast figures."""
    broken: list[int] = []

    def change(outcome: Outcome) -> Outcome:
        assert outcome.result is not None
        if outcome.job.number != DENSE and not broken:
            broken.append(outcome.job.number)
        return replace(outcome, result=shifted(outcome.result, -0.5)) if outcome.job.number in broken else outcome

    front = bench.search(said(constraints={"accuracy": ">= dense - 0.3"}), engine=Exact(change)).front
    traces, title = drawn(bench, front)
    exact = bench.store.exact("s")
    assert len(front) and not set(broken) & set(front.trials)
    assert dict(zip(traces["front"]["x"], traces["front"]["y"], strict=True)) == {
        row.measures.params: row.measures.accuracy for row in front
    }
    left = exact[broken[0]].measures
    assert left is not None
    assert (left.params, left.accuracy) in zip(traces["infeasible"]["x"], traces["infeasible"]["y"], strict=True)
    assert title.endswith("(not confirmed over fresh seeds; found in fast numerics, measured again in exact)")
    told = {int(text.split()[1].strip(":")): text for trace in traces.values() for text in trace["hovertext"] if "trial" in text}
    assert len(told) == 12
    assert {number for number, text in told.items() if "figures of fast numerics" not in text} == set(exact) - {DENSE}


def test_the_figure_says_that_its_figures_are_fast(bench: Bench) -> None:
    front = bench.search(said(), engine=Exact(interrupting(3))).front
    traces, title = drawn(bench, front)
    assert sorted(traces["front"]["y"]) == sorted(row.measures.accuracy for row in front)
    assert title.endswith("; figures of fast numerics)")


def drawn(bench: Bench, front: Front) -> tuple[dict[str, Any], str]:
    """The traces of the study's figure by name, and its title."""
    plain = json.loads(study_figure(bench.store, bench.store.study("s"), front).to_json())
    return {trace["name"].split(" ")[0]: trace for trace in plain["data"]}, plain["layout"]["title"]["text"]


def test_an_exact_study_measures_nothing_again(bench: Bench) -> None:
    engine = Exact()
    outcome = bench.search(said(numerics="exact"), engine=engine)
    assert not engine.exact
    assert outcome.front.numerics == "exact"


def interrupting(at: int) -> Callable[[Outcome], Outcome]:
    """Ctrl-C when the `at`-th exact outcome is there."""
    count = [0]

    def change(outcome: Outcome) -> Outcome:
        count[0] += 1
        if count[0] == at:
            os.kill(os.getpid(), signal.SIGINT)
        return outcome

    return change


def test_a_call_that_is_interrupted_is_gone_on_with(bench: Bench) -> None:
    first = bench.search(said(), engine=Exact(interrupting(3)))
    assert first.stopped == "interrupt"
    assert first.front.numerics == "fast"
    known = bench.store.exact("s")
    assert 1 <= len(known) <= 3
    again = Exact()
    second = bench.search(said(), engine=again)
    assert not set(again.exact) & set(known)
    assert [job for job in again.jobs if not job.exact] == []
    assert (second.stopped, second.front.numerics) == (None, "remeasured")
    third = Exact()
    assert bench.search(said(), engine=third).front == second.front
    assert not third.jobs


def test_more_trials_need_only_what_is_new_on_the_front(bench: Bench) -> None:
    bench.search(said(), engine=Exact())
    known = set(bench.store.exact("s"))
    engine = Exact()
    outcome = bench.search(said(trials=24), engine=engine)
    assert not known & set(engine.exact)
    assert set(bench.store.front_history("s")[-1].members) <= known | set(engine.exact)
    assert outcome.front.numerics == "remeasured"


def test_constraints_are_judged_by_the_exact_dense_network(bench: Bench) -> None:
    """In exact numerics dense gains twice as much as the others, and who kept close to it before does not any more."""

    def change(outcome: Outcome) -> Outcome:
        assert outcome.result is not None
        return replace(outcome, result=shifted(outcome.result, 0.5)) if outcome.job.number == DENSE else outcome

    with_bound = said(constraints={"accuracy": ">= dense - 0.3"})
    outcome = bench.search(with_bound, engine=Exact(change))
    exact = {n: r for n, r in bench.store.exact("s").items() if n != DENSE}
    assert exact and not any(r.feasible for r in exact.values())
    assert all(r.result.state == "infeasible" and r.violations["accuracy"] > 0 for r in exact.values())
    assert (len(outcome.front), outcome.front.numerics) == (0, "remeasured")


def test_who_costs_two_workers_leaves_the_front(bench: Bench) -> None:
    def change(outcome: Outcome) -> Outcome:
        return replace(outcome, result=None, lost=LOST) if outcome.job.number == victim else outcome

    plain = bench.search(said(name="plain", numerics="exact"), engine=Exact())
    victim = plain.front.trials[0]
    engine = Exact(change)
    outcome = bench.search(said(), engine=engine)
    assert engine.exact.count(victim) == 2
    assert victim not in outcome.front.trials
    assert bench.store.exact("s")[victim].result.reason == LOST


def test_without_an_exact_dense_network_the_figures_stay_fast_and_that_is_said(bench: Bench) -> None:
    def change(outcome: Outcome) -> Outcome:
        failed = Result("failed", None, reason="out of memory")
        return replace(outcome, result=failed) if outcome.job.number == DENSE else outcome

    outcome = bench.search(said(), engine=Exact(change))
    assert outcome.front.numerics == "fast"
    assert any("out of memory" in warning.text for warning in bench.told(events.Warned))
    assert not bench.store.exact("s")
    assert bench.search(said(), engine=Exact()).front.numerics == "remeasured"


@pytest.mark.parametrize("times", [1, 2])
def test_who_fails_for_want_of_memory_is_tried_again_and_never_dropped(bench: Bench, times: int) -> None:
    left = [times]

    def change(outcome: Outcome) -> Outcome:
        if outcome.job.number != victim or not left[0]:
            return outcome
        left[0] -= 1
        return replace(outcome, result=Result("failed", None, reason="out of memory", outside=True))

    victim = bench.search(said(name="plain", numerics="exact"), engine=Exact()).front.trials[0]
    first = bench.search(said(), engine=Exact(change))
    assert first.front.numerics == ("remeasured" if times == 1 else "fast")
    told = [w.text for w in bench.told(events.Warned) if "out of memory" in w.text]
    assert told == [] if times == 1 else told[0].startswith(f"trial {victim} could not be trained in exact numerics")
    again = Exact()
    second = bench.search(said(), engine=again)
    assert again.exact == ([] if times == 1 else [victim])
    assert second.front.numerics == "remeasured" and victim in second.front.trials


def test_the_latency_of_the_dense_network_stays_that_of_the_study(bench: Bench) -> None:
    """All ratios refer to it: measured again it would move every member, and who is as fast as it would not be."""

    def slower(outcome: Outcome) -> Outcome:
        assert outcome.result is not None and outcome.result.measures is not None
        if outcome.job.number != DENSE:
            return outcome
        return replace(outcome, result=replace(outcome.result, measures=replace(outcome.result.measures, latency_ms=1e6)))

    bench.search(said(objectives=["accuracy", "latency_ms"]), engine=Exact(slower))
    dense, again = bench.store.study("s").dense, bench.store.exact("s")[DENSE].measures
    assert dense is not None and again is not None and dense.measures.latency_ms is not None
    assert (again.latency_ms, again.latency_iqr_ms) == (dense.measures.latency_ms, dense.measures.latency_iqr_ms)


def test_numerics_may_not_change(bench: Bench) -> None:
    bench.search(said(), engine=Exact())
    with pytest.raises(StudyError, match="numerics: was fast, is now exact"):
        bench.search(said(numerics="exact"), engine=Exact())

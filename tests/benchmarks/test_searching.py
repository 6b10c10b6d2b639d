"""prunesearch as the benchmarks run it, and what they read from it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import adaptive, breakdown, brief
from benchmarks.breakdown import PARTS, Watched, divided
from benchmarks.scenarios import SCENARIOS, listed
from benchmarks.searching import How, search, study_of
from benchmarks.tasks import digits
from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.policy import Policy
from prunesearch.results import Job, Outcome, Result, Timings
from prunesearch.spec import StudySpec
from prunesearch.trial import TrialRunner

DIGITS = SCENARIOS["digits"]


def test_a_search_runs_the_list_and_its_accuracies_are_those_of_single_trials() -> None:
    policies = listed(DIGITS, quick=True)
    found = search(DIGITS, policies, How(watch_memory=True))
    runner = TrialRunner.from_task(digits(), EngineSpec("digits", device="cpu"))
    for policy, row in zip(policies, found.in_order(policies), strict=True):
        measures = runner.run(Job(0, Policy.parse(policy), policy["epochs"], seed=0)).measures
        assert measures is not None
        assert row == {"accuracy": measures.accuracy, "test_accuracy": measures.test_accuracy, "params": measures.params}
    assert found.asked == 2 * 5
    assert found.trained < found.asked
    assert found.run["seconds"] < found.wall
    assert 0 < found.epoch_seconds < found.wall
    assert found.peak > 50e6 and found.store_bytes > 10e3 and found.stage_bytes > 100e3


@pytest.mark.parametrize("name", SCENARIOS)
def test_studies_are_valid(name: str) -> None:
    scenario = SCENARIOS[name]
    policies = scenario.policies()
    spec = StudySpec.parse(study_of(scenario, policies, How(seed=3, timeout=60.0)))
    assert (spec.trials, spec.seed, spec.timeout, len(spec.start)) == (24, 3, 60.0, 24)
    assert StudySpec.parse(study_of(scenario, (), How(trials=7))).trials == 7


def test_slots_are_watched_from_the_first_job_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slots, one job: 3 s with the driver, 5 s in the engine, during which one slot is empty."""
    now = [100.0]
    monkeypatch.setattr(breakdown, "perf_counter", lambda: now[0])
    engine = Watched(FakeEngine(EngineSpec("digits-mlp", workers=2)))
    result = Result("complete", None, timings=Timings(train=4.0, validate=0.5, other=0.5))

    def slow(_timeout: float | None = None) -> Outcome:
        now[0] += 5.0
        return Outcome(job, result)

    monkeypatch.setattr(engine.engine, "next", slow)
    job = Job(-1, None, 2, 0)
    now[0] += 2.0
    engine.submit(job)
    now[0] += 3.0
    engine.next()
    now[0] += 1.0
    engine.submit(replace(job, number=0))
    assert (engine.started, engine.dense) == (102.0, 4.0)
    assert (engine.empty_driving, engine.empty_waiting) == (3.0 + 2.0, 5.0)
    outcome: Any = SimpleNamespace(spent={"ask": 1.0, "store": 3.0})
    parts = divided(engine, outcome, 100.0, 111.0)
    assert parts == pytest.approx(
        {"start-up": 4.0, **dict.fromkeys(("select", "cut", "latency", "wait"), 0.0), "train": 4.0, "validate": 0.5}
        | {"other": 0.5, "sampler": 1.25, "store": 3.75, "idle": 5.0}
    )
    assert parts.keys() == PARTS.keys()
    assert sum(parts.values()) == pytest.approx(2 * 11 - 3.0)  # the 3 s of the driver are on the way to the one slot


def test_volumes_are_those_of_what_had_ended_and_was_chosen_by_validation() -> None:
    dense = {"test_accuracy": 0.9, "params": 1000}
    rows = [
        {"finished": 10.0, "accuracy": 0.9, "test_accuracy": 0.9, "params": 100},
        {"finished": 20.0, "accuracy": 0.8, "test_accuracy": 0.95, "params": 200},  # worse in validation and larger
        {"finished": 30.0, "accuracy": 0.85, "test_accuracy": 0.875, "params": 10},
    ]
    assert adaptive.volumes(rows, 5.0, dense) == (0.0, 0.0)
    whole, zoomed = adaptive.volumes(rows, 25.0, dense)
    assert whole == pytest.approx((1.1 - 0.1) / 1.1)
    assert zoomed == pytest.approx(0.5)
    assert adaptive.volumes(rows, 30.0, dense)[1] == pytest.approx(0.5 + 0.5 * 0.5)


def test_searches_of_equal_length_are_told_by_what_had_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = {"test_accuracy": 0.95, "params": 1000}
    row = {"accuracy": 0.9, "test_accuracy": 0.95, "params": 100, "finished": 100.0}
    late = {**row, "params": 10, "finished": 400.0}
    run: dict[str, Any] = {"scenario": "lenet300", "minutes": 10, "seed": 0, "date": "2026-11-20 21:04 UTC"}
    ours = {**run, "contestant": "prunesearch", "rows": [row, late], "dense": dense}
    assert brief._equal_time([ours]) == ""
    theirs = {**run, "contestant": "expert", "rows": [late]}
    alone = {**ours, "seed": 1, "rows": [row] * 9}
    told = brief._equal_time([alone, ours, theirs])
    assert "had run 1, 1 and 2 trials, the script 0, 0 and 1." in told
    assert "was 0.50, 0.50 and 1.00 against 0.00, 0.00 and 1.00; means over one seed." in told
    assert "the dense network of seed 0, for all seeds" in told and "benchmarks adaptive`, 2026-11-20;" in told

"""Where time went, and what is said when nothing came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import EnvironmentFailure, InfeasibleError
from prunesearch.policy import Policy
from prunesearch.results import Outcome, Timings
from prunesearch.search.outcome import Stopwatch, nothing_feasible
from prunesearch.spec import StudySpec
from prunesearch.store import TrialRecord
from tests.search.conftest import Bench


def record(number: int, state: str, reason: str | None = None, feasible: bool = False) -> TrialRecord:
    return TrialRecord(number, state, Policy(epochs=1), "d", 0, reason=reason, feasible=feasible)  # type: ignore[arg-type]


def test_one_feasible_trial_is_enough() -> None:
    assert nothing_feasible("s", [record(0, "failed", "NaN"), record(1, "complete", feasible=True)]) is None
    assert nothing_feasible("s", []) is None
    assert nothing_feasible("s", [record(0, "running"), record(1, "lost")]) is None


def test_broken_constraints_and_failures_are_different_ends() -> None:
    found = nothing_feasible("s", [record(0, "failed", "x"), *(record(n, "infeasible", "too big") for n in (1, 2))])
    assert isinstance(found, InfeasibleError)
    assert "none of 3 trials is feasible; most often (2): too big" in str(found)
    found = nothing_feasible("s", [record(3, "failed", "x"), record(4, "failed", "y"), record(5, "failed", "y")])
    assert isinstance(found, EnvironmentFailure)
    assert "all 3 trials failed; most often (2): y" in str(found)
    assert found.hint == "'prunesearch show s --trial 3 --debug' shows the traceback"


def test_overhead_is_what_is_neither_training_nor_evaluation() -> None:
    now = [0.0]
    watch = Stopwatch(lambda: now[0])
    assert watch.overhead(2) is None
    now[0] = 60.0
    for _ in range(9):
        watch.trial(Timings(train=7.0, validate=2.0, latency=1.0, cut=0.5, wait=0.5))
    assert watch.overhead(2) == pytest.approx(1 - 90 / (60 * 2))
    with watch.timing("ask"):
        now[0] += 1.5
    assert watch.spent["ask"] == 1.5
    assert watch.spent["trial_cut"] == 4.5


class Slow(FakeEngine):
    """Every job says that it has trained for a second."""

    def next(self, timeout: float | None = None) -> Outcome | None:
        """The next outcome, with that second."""
        outcome = super().next(timeout)
        if outcome is None or outcome.result is None:
            return outcome
        return replace(outcome, result=replace(outcome.result, timings=Timings(train=1.0)))


def test_the_dense_reference_is_counted_as_trials_are(bench: Bench) -> None:
    spec = StudySpec.parse({"name": "s", "task": "digits-mlp", "trials": 4, "epochs": 3, "engine": "fake"})
    outcome = bench.search(spec, engine=Slow(EngineSpec("digits-mlp", workers=2)))
    assert outcome.done == 4 and outcome.spent["trial_train"] == 5.0
    assert bench.search(spec, engine=Slow(EngineSpec("digits-mlp", workers=2))).spent == {}

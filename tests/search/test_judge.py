"""What a result is worth: constraints absolute and relative, guards, figures that are missing or not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from prunesearch.results import Result
from prunesearch.search.judge import GUARD, judge
from prunesearch.spec import Constraint
from tests.search.parts import dense, measures, result

OBJECTIVES = ("accuracy", "params", "latency_ms")
BOUNDS = {"accuracy": Constraint.parse("accuracy", ">= dense - 0.02"), "params": Constraint.parse("params", "<= 5000")}


@pytest.mark.parametrize(
    ("accuracy", "params", "violations", "feasible"),
    [
        (0.93, 5000, {"accuracy": 0.0, "params": 0.0}, True),
        (0.95, 100, {"accuracy": -0.02, "params": -4900.0}, True),
        (0.90, 100, {"accuracy": 0.03, "params": -4900.0}, False),
        (0.90, 6000, {"accuracy": 0.03, "params": 1000.0}, False),
    ],
)
def test_constraints(accuracy: float, params: int, violations: dict[str, float], feasible: bool) -> None:
    verdict = judge(result(accuracy, params), OBJECTIVES, BOUNDS, dense().measures)
    assert verdict.violations == pytest.approx(violations)
    assert verdict.told == verdict.violations
    assert verdict.feasible == feasible
    assert verdict.values == (accuracy, float(params), 1.0)
    assert verdict.result.state == ("complete" if feasible else "infeasible")
    assert (verdict.result.reason is None) == feasible


def test_what_was_broken_is_said() -> None:
    verdict = judge(result(0.9, 6000), OBJECTIVES, BOUNDS, dense().measures)
    assert verdict.result.reason == "not accuracy >= dense - 0.02 and not params <= 5000"


def test_a_guard_keeps_its_reason_and_is_told() -> None:
    cut = result(0.94, 4000, state="infeasible", reason="nothing was removed")
    verdict = judge(cut, OBJECTIVES, BOUNDS, dense().measures)
    assert not verdict.feasible
    assert verdict.result.reason == "nothing was removed"
    assert verdict.told[GUARD] > 0
    assert GUARD not in verdict.violations


@pytest.mark.parametrize("accuracy", [0.94, 0.9])
@pytest.mark.parametrize("reason", [None, "nothing was removed"])
def test_a_result_that_was_judged_already_is_told_the_same(accuracy: float, reason: str | None) -> None:
    measured = result(accuracy, 6000, state="infeasible" if reason else "complete", reason=reason)
    verdict = judge(measured, OBJECTIVES, BOUNDS, dense().measures)
    assert judge(verdict.result, OBJECTIVES, BOUNDS, dense().measures) == verdict
    assert (GUARD in verdict.told) == (reason is not None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_figure_that_is_missing_or_not_finite_makes_it_failed(name: str, bad: Any) -> None:
    broken = replace(result(), measures=replace(measures(), **{name: bad}))
    verdict = judge(broken, OBJECTIVES, {}, dense().measures)
    assert verdict.result.state == "failed"
    assert name in str(verdict.result.reason)
    assert verdict.values is None
    assert not verdict.feasible


def test_figures_that_nobody_asked_for_may_be_missing() -> None:
    plain = replace(result(), measures=measures(latency_ms=None, ratio=None))
    assert judge(plain, ("accuracy", "params"), {}, dense().measures).feasible


def test_a_failure_stays_one() -> None:
    failed = Result("failed", None, reason="RuntimeError: no")
    verdict = judge(failed, OBJECTIVES, BOUNDS, dense().measures)
    assert verdict.result is failed
    assert (verdict.values, verdict.feasible, verdict.told) == (None, False, {})

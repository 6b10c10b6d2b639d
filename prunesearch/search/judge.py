"""What a result is worth: which constraints it breaks, whether it counts, and what the sampler is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from prunesearch.results import Measures, Result
from prunesearch.spec import Constraint

GUARD = "guard"
"""Name of the constraint that a network breaks when the trial itself found it unusable: nothing removed, collapsed."""


@dataclass(frozen=True)
class Verdict:
    """A judged result.

    Args:
        result: the same, but `infeasible` where a constraint is broken and `failed` where a figure is missing.
        violations: per constrained measure how far it is beyond its bound, in its unit; zero or less is within.
        feasible: whether it may be on the front.
        values: the objectives in their order; None where the trial failed.
        told: constraints as the sampler is told them: the violations, and the guard where it was broken.
    """

    result: Result
    violations: Mapping[str, float]
    feasible: bool
    values: tuple[float, ...] | None
    told: Mapping[str, float]


def judge(result: Result, objectives: tuple[str, ...], constraints: Mapping[str, Constraint], dense: Measures) -> Verdict:
    """Judge a result by the study's objectives and constraints; one that was judged already comes out the same."""
    if result.measures is None or result.state == "failed":
        return Verdict(result, {}, False, None, {})
    wrong = unusable(result.measures, dict.fromkeys((*objectives, *constraints)))
    if wrong:
        return Verdict(replace(result, state="failed", reason=result.reason or wrong), {}, False, None, {})
    violations = {name: _violation(c, result.measures, dense) for name, c in constraints.items()}
    values = tuple(float(getattr(result.measures, name)) for name in objectives)
    broken = [str(c) for name, c in constraints.items() if violations[name] > 0]
    reason = f"not {' and not '.join(broken)}"
    guard = {GUARD: 1.0} if result.state == "infeasible" and result.reason != reason else {}  # a guard has a reason of its own
    if broken and result.state == "complete":
        result = replace(result, state="infeasible", reason=reason)
    return Verdict(result, violations, result.state == "complete", values, {**violations, **guard})


def _violation(constraint: Constraint, measures: Measures, dense: Measures) -> float:
    return constraint.violation(float(getattr(measures, constraint.measure)), float(getattr(dense, constraint.measure) or 0.0))


def unusable(measures: Measures, names: Mapping[str, None]) -> str | None:
    """Which figures are missing or not finite, in words."""
    bad = {name: getattr(measures, name) for name in names}
    told = [
        f"{name} is {'not measured' if value is None else value}"
        for name, value in bad.items()
        if value is None or not isfinite(value)
    ]
    return ", ".join(told) or None

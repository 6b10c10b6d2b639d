"""A sweep as lines: per series and level the means over seeds, what was removed, and why a point is missing or not usable."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prunesearch.fitting import chosen_groups
from prunesearch.policy import Policy
from prunesearch.results import Result, TaskInfo
from prunesearch.sweeps.base import Point, Sweep

Split = Literal["test", "validation"]

FIGURES: Mapping[str, str] = {
    "removed": "fraction of the weights or units removed, of all that the policy may prune",
    "sparsity": "fraction of the dense network's parameters removed",
    "params": "parameters to store",
    "macs": "multiply-accumulates for one example",
    "accuracy": "the metric on the validation split",
    "test_accuracy": "the metric on the test split",
    "loss": "the loss on the validation split",
    "test_loss": "the loss on the test split",
    "latency_ms": "latency, where it was asked for",
}
"""Every figure of a point: a mean over the seeds that gave it."""


@dataclass(frozen=True)
class CurvePoint:
    """One point of a line.

    Args:
        series: the line.
        level: as asked.
        granularity: what was removed; empty where nothing was.
        figures: the means over seeds, see `FIGURES`; what no seed gave is absent.
        deviations: their standard deviations, where two seeds or more gave them.
        seeds: how many gave a network.
        reason: why some seeds gave no network, or none to use; None: all did.
    """

    series: str
    level: float
    granularity: str
    figures: Mapping[str, float]
    deviations: Mapping[str, float]
    seeds: int
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """One row with every figure and its deviation, None where there is none."""
        row: dict[str, Any] = {"series": self.series, "level": self.level, "granularity": self.granularity or None}
        for name in FIGURES:
            row |= {name: self.figures.get(name), f"{name}_sd": self.deviations.get(name)}
        return row | {"seeds": self.seeds, "reason": self.reason}


def curve_points(sweep: Sweep) -> tuple[CurvePoint, ...]:
    """One point per candidate, by line and then in the order of the levels that were asked."""
    count = len(sweep.seeds)
    each = [sweep.points[i : i + count] for i in range(0, len(sweep.points), count)]
    kinds = {p.series: p.policy.granularity for p in sweep.points if p.policy}
    return tuple(_mean(seeds, kinds.get(seeds[0].series, ""), sweep.info) for seeds in each)


def dense_point(sweep: Sweep) -> CurvePoint:
    """The dense network, its figures over the seeds."""
    return _mean([Point("dense", 0.0, seed, result) for seed, result in sweep.dense.items()], "", sweep.info)


def reported_split(sweep: Sweep) -> Split:
    """The split that is shown: test where the task has one, for nothing is selected here."""
    tested = all(r.measures is not None and r.measures.test_accuracy is not None for r in sweep.dense.values())
    return "test" if tested else "validation"


def figures_of(result: Result, policy: Policy | None, info: TaskInfo) -> dict[str, float]:
    """The figures of one network that are numbers; empty where none came out."""
    if result.measures is None:
        return {}
    found = {k: v for k, v in result.measures.to_dict().items() if k in FIGURES and v is not None}
    losses = {{"validation": "loss", "test": "test_loss"}[split]: value for split, value in result.losses.items()}
    every = {**found, **losses, "removed": removed(result, policy, info)}
    return {name: value for name, value in every.items() if math.isfinite(value)}


def removed(result: Result, policy: Policy | None, info: TaskInfo) -> float:
    """The fraction of weights or units that is gone, of the groups that the policy may prune."""
    if policy is None:
        return 0.0
    names = {group.name for group in chosen_groups(info.groups, policy)}
    rows = [row for row in result.layers if row.name in names]
    total = sum(row.total for row in rows)
    return 1 - sum(row.kept for row in rows) / total if total else 0.0


def _mean(points: Sequence[Point], granularity: str, info: TaskInfo) -> CurvePoint:
    each = [found for p in points if (found := figures_of(p.result, p.policy, info))]
    columns = {n: [f[n] for f in each if n in f] for n in FIGURES if any(n in f for f in each)}
    return CurvePoint(
        series=points[0].series,
        level=points[0].level,
        granularity=granularity,
        figures={n: statistics.fmean(v) for n, v in columns.items()},
        deviations={n: statistics.stdev(v) for n, v in columns.items() if len(v) > 1},
        seeds=len(each),
        reason=_reason(points),
    )


def _reason(points: Sequence[Point]) -> str | None:
    """Why not every seed gave a usable network; which of them did not, where some did."""
    wrong = [p for p in points if p.result.state != "complete"]
    if not wrong:
        return None
    told = wrong[0].result.reason or wrong[0].result.state
    return told if len(points) == 1 else f"{len(wrong)} of {len(points)} seeds: {told}"

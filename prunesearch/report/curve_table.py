"""Curves as tables: for the eye the split that is reported, as CSV everything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from prunesearch.report.findings import points_cell, points_gained
from prunesearch.report.table import Column, Table
from prunesearch.report.words import number, percent
from prunesearch.sweeps.curves import FIGURES, CurvePoint, Split


def curve_table(
    points: Sequence[CurvePoint], dense: CurvePoint, *, split: Split, metric: str, title: str, maximize: bool = True
) -> Table:
    """The points for the eye, the dense network first.

    Args:
        points: the points.
        dense: the dense network.
        split: whose figures are shown.
        metric: what the measure is called.
        title: what stands above it.
        maximize: whether more of the metric is better.
    """
    measure, loss = ("test_accuracy", "test_loss") if split == "test" else ("accuracy", "loss")
    reference = dense.figures[measure]
    rows = []
    for point in (dense, *points):
        value = point.figures.get(measure)
        gained = None if value is None or point is dense else points_gained(value, reference, maximize=maximize)
        rows.append(point.to_dict() | {"points": gained})
    columns = [
        Column("series", "series"),
        Column("level", "level", percent, right=True),
        Column("removed", "removed", percent, right=True),
        Column("sparsity", "parameters removed", percent, right=True),
        Column("params", "params", _whole, right=True),
        *_with_deviation(measure, f"{split} {metric}", rows),
        Column("points", "vs dense", partial(points_cell, maximize=maximize), right=True),
        *_with_deviation(loss, f"{split} loss", rows),
        *_with_deviation("latency_ms", "latency_ms", rows),
        *([Column("reason", "no usable network because")] if any(r["reason"] for r in rows) else []),
    ]
    return Table(tuple(columns), rows, title, frozenset({0}))


def curve_csv(points: Sequence[CurvePoint], dense: CurvePoint) -> Table:
    """The points for programs: every figure with its deviation over the seeds."""
    figures = [column for name in FIGURES for column in (name, f"{name}_sd")]
    names = ["series", "level", "granularity", *figures, "seeds", "reason"]
    return Table(tuple(Column(n, n) for n in names), [p.to_dict() for p in (dense, *points)])


def _with_deviation(name: str, title: str, rows: Sequence[dict[str, Any]]) -> list[Column]:
    """A figure's column, and its deviation's; none where no row has them."""
    shown = [Column(name, title, number, right=True), Column(f"{name}_sd", "±", number, right=True)]
    return [column for column in shown if any(row[column.key] is not None for row in rows)]


def _whole(value: float) -> str:
    return number(round(value))

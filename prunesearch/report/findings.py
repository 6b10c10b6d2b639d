"""What a front says, in a sentence and in the few figures that matter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunesearch.front import Front, FrontRow
from prunesearch.report.words import number, policy_words, times
from prunesearch.results import Measures
from prunesearch.sensitivity import SLACK, in_points


@dataclass(frozen=True)
class Comparison:
    """A network against the dense one. Ratios above 1 are gains; None where one side was not measured.

    Args:
        points: change of the metric in points, positive when better; see `points_gained`.
        fewer: dense parameters over this network's.
        faster: dense latency over this network's.
        lighter: dense multiply-accumulates over this network's.
        maximize: whether more of the metric is better.
    """

    points: float
    fewer: float
    faster: float | None
    lighter: float
    maximize: bool = True


def compare(measures: Measures, dense: Measures, *, maximize: bool = True) -> Comparison:
    """`measures` against the dense network's."""
    return Comparison(
        points=points_gained(measures.accuracy, dense.accuracy, maximize=maximize),
        fewer=dense.params / max(1, measures.params),
        faster=_faster(measures, dense),
        lighter=dense.macs / max(1, measures.macs),
        maximize=maximize,
    )


def points_gained(value: float, dense: float, *, maximize: bool) -> float:
    """How much better than `dense` a metric is, in points; see `in_points`."""
    return in_points(value - dense if maximize else dense - value, dense, maximize=maximize)


def within_a_point(value: float, dense: float, *, maximize: bool) -> bool:
    """Whether a metric is at most one point worse than `dense`."""
    return points_gained(value, dense, maximize=maximize) >= -1 - SLACK


def smallest_within(front: Front) -> FrontRow | None:
    """The row with the fewest parameters whose metric is at most one point worse than dense; None where there is none."""
    if front.dense is None:
        return None
    dense, maximize = front.dense.accuracy, maximizes(front)
    close = [row for row in front if within_a_point(row.measures.accuracy, dense, maximize=maximize)]
    return front.chosen(close).best("params") if close else None


def maximizes(front: Front) -> bool:
    """Whether more of the task's metric is better."""
    return front.metric == "maximize"


def told(front: Front) -> FrontRow:
    """The row that is worth a sentence: the smallest within one point of dense, else the knee.

    Raises:
        InfeasibleError: the front is empty.
    """
    return smallest_within(front) or front.knee()


def finding(front: Front) -> str:
    """One sentence that says what was found.

    Raises:
        InfeasibleError: the front is empty.
    """
    row = told(front)
    if front.dense is None:
        return f"trial {row.trial}: {number(row.measures.accuracy)} with {number(row.measures.params)} parameters: {did(row)}"
    return f"{versus(compare(row.measures, front.dense, maximize=maximizes(front)))}: trial {row.trial}, {did(row)}"


def did(row: FrontRow) -> str:
    """What the row's policy does, in words."""
    return policy_words(row.policy)


def versus(found: Comparison) -> str:
    """`9.8x fewer parameters, 1.9x faster, 0.6 points lower`."""
    parts = [f"{times(found.fewer)} fewer parameters"]
    if found.faster is not None and not 0.98 < found.faster < 1.02:
        parts.append(f"{times(found.faster)} faster" if found.faster >= 1 else f"{times(1 / found.faster)} slower")
    return ", ".join([*parts, points_words(found.points, maximize=found.maximize)])


def points_words(points: float, *, maximize: bool = True) -> str:
    """`0.6 points lower`, `1 point higher`, `as accurate as dense`; where less is better `40 % worse`, `as good as dense`."""
    size = f"{abs(points):.1f}".removesuffix(".0")
    if size == "0":
        return "as accurate as dense" if maximize else "as good as dense"
    if maximize:
        return f"{size} {'point' if size == '1' else 'points'} {'higher' if points > 0 else 'lower'}"
    way = "better" if points > 0 else "worse"
    return f"{size} % {way}" if math.isfinite(points) else f"{way} than dense"


def points_cell(points: float, *, maximize: bool = True) -> str:
    """The metric's change for a table: `-0.6`, in points; where less is better it is `+40.0 %` for what is 40 points worse."""
    return f"{points:+.1f}" if maximize else f"{0.0 - points:+.1f} %"


def _faster(measures: Measures, dense: Measures) -> float | None:
    """By the settled latencies: ratios that noise cannot tell apart are one in them, unlike in `latency_ratio`."""
    if measures.latency_ms and dense.latency_ms:
        return dense.latency_ms / measures.latency_ms
    return None

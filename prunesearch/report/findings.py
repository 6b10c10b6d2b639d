"""What a front says, in a sentence and in the few figures that matter."""

from __future__ import annotations

from dataclasses import dataclass

from prunesearch.errors import InfeasibleError, UsageError
from prunesearch.front import Front, FrontRow
from prunesearch.report.words import number, policy_words, times
from prunesearch.results import Measures

POINT = 0.01
"""One point: the loss of accuracy that most people would give for a much smaller network."""


@dataclass(frozen=True)
class Comparison:
    """A network against the dense one. Ratios above 1 are gains; None where one side was not measured.

    Args:
        points: change of the metric in points (0.01), positive when better.
        fewer: dense parameters over this network's.
        faster: dense latency over this network's.
        lighter: dense multiply-accumulates over this network's.
    """

    points: float
    fewer: float
    faster: float | None
    lighter: float


def compare(measures: Measures, dense: Measures, *, maximize: bool = True) -> Comparison:
    """`measures` against the dense network's."""
    gain = measures.accuracy - dense.accuracy if maximize else dense.accuracy - measures.accuracy
    return Comparison(
        points=100 * gain,
        fewer=dense.params / max(1, measures.params),
        faster=_faster(measures, dense),
        lighter=dense.macs / max(1, measures.macs),
    )


def smallest_within(front: Front, loss: float = POINT) -> FrontRow | None:
    """The row with the fewest parameters whose metric is at most `loss` worse than dense; None where there is none."""
    text = f"accuracy >= dense - {loss:g}" if maximizes(front) else f"accuracy <= dense + {loss:g}"
    try:
        return front.where(text, by="params")
    except (InfeasibleError, UsageError):
        return None


def maximizes(front: Front) -> bool:
    """Whether more of the task's metric is better."""
    return front.directions.get("accuracy", "maximize") == "maximize"


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
    return ", ".join([*parts, points_words(found.points)])


def points_words(points: float) -> str:
    """`0.6 points lower`, `1 point higher`, `as accurate`."""
    size = f"{abs(points):.1f}".removesuffix(".0")
    if size == "0":
        return "as accurate as dense"
    return f"{size} {'point' if size == '1' else 'points'} {'higher' if points > 0 else 'lower'}"


def _faster(measures: Measures, dense: Measures) -> float | None:
    """By the settled latencies: ratios that noise cannot tell apart are one in them, unlike in `latency_ratio`."""
    if measures.latency_ms and dense.latency_ms:
        return dense.latency_ms / measures.latency_ms
    return None

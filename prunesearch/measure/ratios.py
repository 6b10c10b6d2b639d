"""When two latency ratios are equal, and which number stands for both. No torch.

A ratio that is measured twice differs by one to three percent. A sampler or a Pareto front that takes such differences
for real prefers one of two equally fast networks for nothing. So ratios closer than the larger of their interquartile
ranges, or than `FLOOR` of the larger ratio, are equal, and the one that was measured first stands for all of them.

Equality of that kind is not transitive; "the nearest that is known, else itself" is what makes it a function.
"""

from __future__ import annotations

from collections.abc import Iterable

Ratio = tuple[float, float]
"""(latency / dense latency, its interquartile range)."""

FLOOR = 0.02
"""Ratios that differ by less than this share of the larger one are equal, however small their IQR."""

DENSE: Ratio = (1.0, 0.0)
"""The dense network against itself, by definition."""


def equal(one: Ratio, other: Ratio) -> bool:
    """Whether two ratios cannot be told apart. Symmetric, not transitive."""
    tolerance = max(one[1], other[1], FLOOR * max(one[0], other[0]))
    return one[0] == other[0] or abs(one[0] - other[0]) < tolerance


def merge_ratio(ratio: float, iqr: float, known: Iterable[Ratio]) -> Ratio:
    """The ratio that stands for a measured one: the nearest of the known ones that equal it, else itself.

    Args:
        ratio: measured, positive.
        iqr: its interquartile range over the rounds, not negative.
        known: representatives so far, oldest first; of two equally near ones the older is taken.
    """
    measured = (ratio, iqr)
    alike = [k for k in known if equal(k, measured)]
    return min(alike, key=lambda k: abs(k[0] - ratio), default=measured)

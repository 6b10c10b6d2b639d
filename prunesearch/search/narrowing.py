"""Ranges of ratios, narrowed to what a sensitivity analysis says that groups tolerate.

Li et al. 2016 ("Pruning filters for efficient ConvNets") prune less where a layer is sensitive, more where it is not, and give
layers of a stage one ratio. Here a group's ratio begins at half of the largest one at which it alone loses at most a point.

Where the analysis trained after its cuts, a ratio also ends: at the largest one at which its group alone loses at most five
points, and half of the way from there to the end of the study's own range. Without training after the cut it does not: a
trial trains, and what that wins back is most of the loss (docs/sensitivity.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from prunesearch.results import GroupInfo
from prunesearch.rules import matching
from prunesearch.search.ranges import Interval
from prunesearch.sensitivity import Sensitivity
from prunesearch.spec import Range

PAINLESS, ACCEPTABLE = 1, 5
"""Points of the metric lost: up to the first a ratio costs its group nothing worth a search, beyond the second a margin
begins."""
SHARE, MARGIN = 0.5, 0.5
"""Share of the painless ratio at which a range begins; share of the way to the study's own end at which it ends."""


def narrowed(keys: Mapping[str, Range], groups: Sequence[GroupInfo], said: Iterable[str], found: Sensitivity) -> dict[str, Range]:
    """The ranges of ratios, higher where groups lose nothing, and with lower ends where they never recover.

    Args:
        keys: the keys of a policy's `ratio` with their ranges.
        groups: the groups that they speak for.
        said: keys about which the study says something of their own; those ranges stay, as do single values.
        found: the sensitivity of the groups.
    """
    return {key: own if key in said else _cut(own, *_ends(key, keys, groups, found)) for key, own in keys.items()}


def _ends(key: str, keys: Iterable[str], groups: Sequence[GroupInfo], found: Sensitivity) -> tuple[float | None, float | None]:
    """The ratios of a key that are painless, and acceptable; None where nothing is known."""
    painless = tolerated(key, keys, groups, found, PAINLESS)
    return painless, tolerated(key, keys, groups, found, ACCEPTABLE) if found.retrain else None


def tolerated(key: str, keys: Iterable[str], groups: Sequence[GroupInfo], found: Sensitivity, most: float) -> float | None:
    """The largest ratio that every group under a key tolerates alone, None where none of them was measured.

    Args:
        key: a key of a policy's `ratio`: a group, or a glob that ties several.
        keys: all of them.
        groups: the groups that they speak for.
        found: the sensitivity of the groups.
        most: how many points of the metric may be lost.
    """
    meant = [group for group in groups if matching(group.name, list(keys)) == key]
    known = [ratio for group in meant if (ratio := found.tolerated(group, most)) is not None]
    return min(known, default=None)


def _cut(own: Range, painless: float | None, acceptable: float | None) -> Range:
    """The part of the study's own range from where ratios are worth a search to where they cost too much."""
    if own.low is None or own.high is None:
        return own
    low = max(own.low, SHARE * min(painless or 0.0, own.high))
    inside = own.high if acceptable is None else min(max(low, acceptable), own.high)
    left = Interval(own.low, own.high, step=own.step).cut(low, inside + MARGIN * (own.high - inside))
    return own if left is None else replace(own, low=left.low, high=left.high)

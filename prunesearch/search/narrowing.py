"""Ranges of ratios, narrowed to what a sensitivity analysis says that groups tolerate.

Li et al. 2016 ("Pruning filters for efficient ConvNets") prune less where a layer is sensitive, and give layers of a stage one
ratio. Here a group's ratio reaches up to the largest one at which it alone loses at most five points, and a margin beyond:
half of the way that is left to the end of the study's own range, because training after the cut wins much of the loss back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from prunesearch.results import GroupInfo
from prunesearch.rules import matching
from prunesearch.search.ranges import Interval
from prunesearch.sensitivity import Sensitivity
from prunesearch.spec import Range

ACCEPTABLE = 0.05
"""Loss of the metric up to which a group alone may go before the margin begins: five points of accuracy."""
MARGIN = 0.5
"""Share of the way from there to the end of the study's own range that is searched as well."""


def narrowed(keys: Mapping[str, Range], groups: Sequence[GroupInfo], said: Iterable[str], found: Sensitivity) -> dict[str, Range]:
    """The ranges of ratios with lower ends where groups are sensitive.

    Args:
        keys: the keys of a policy's `ratio` with their ranges.
        groups: the groups that they speak for.
        said: keys about which the study says something of their own; those ranges stay, as do single values.
        found: the sensitivity of the groups.
    """
    return {
        key: range_ if key in said else _cut(range_, tolerated(key, keys, groups, found, ACCEPTABLE))
        for key, range_ in keys.items()
    }


def tolerated(key: str, keys: Iterable[str], groups: Sequence[GroupInfo], found: Sensitivity, drop: float) -> float | None:
    """The largest ratio that every group under a key tolerates alone, None where none of them was measured.

    Args:
        key: a key of a policy's `ratio`: a group, or a glob that ties several.
        keys: all of them.
        groups: the groups that they speak for.
        found: the sensitivity of the groups.
        drop: how much of the metric may be lost.
    """
    meant = [group for group in groups if matching(group.name, list(keys)) == key]
    known = [ratio for group in meant if (ratio := found.tolerated(group, drop)) is not None]
    return min(known, default=None)


def _cut(given: Range, ratio: float | None) -> Range:
    if ratio is None or given.low is None or given.high is None:
        return given
    inside = min(max(ratio, given.low), given.high)
    high = inside + MARGIN * (given.high - inside)
    left = Interval(given.low, given.high, step=given.step).cut(given.low, high)
    return given if left is None else replace(given, high=left.high)

"""From scores to which elements go: counts, scopes, ties, floors and widths. It knows no network and no criterion.

Scores are (n,) per group. What is gone already has the score minus infinity, so that it goes first and later masks
contain earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from prunesearch.pruning.structure import level_of
from prunesearch.rules import count_of, rounded_width

Scores = Mapping[str, torch.Tensor]
Choice = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Selection:
    """Which elements go, per group (n,) bool, and where it is not exactly what was asked, why."""

    gone: Choice
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How much is taken, and from whom.

    Args:
        amount: the cumulative fraction, or one per group name or glob, or, where `absolute`, the bound.
        absolute: everything with a score at or below `amount` goes.
        scope: whether groups compete with each other ("global") or only inside.
        normalised: whether scores are divided by the mean of what is left of their group (units compared with a bound
            or with other groups; by raw l1 a whole layer of LeNet-300-100 is gone at 25 %).
        min_units: elements that every group keeps; the next-ranked go instead.
        round_to: widths left are rounded up to a multiple of this.
    """

    amount: float | Mapping[str, float]
    absolute: bool = False
    scope: Literal["layer", "global", "ratios"] = "layer"
    normalised: bool = False
    min_units: int = 1
    round_to: int = 1


def select(scores: Scores, rules: Rules) -> Selection:
    """Which elements go.

    Args:
        scores: per group, importance of its elements, (n,) float; minus infinity where gone already.
        rules: how much, and from whom.
    """
    ranked = {name: _normalised(s) if rules.normalised else s for name, s in scores.items()}
    if rules.absolute or rules.scope != "global":
        gone, notes = _within(ranked, rules)
    else:
        gone, notes = _across(ranked, rules)
    gone, rounded = _rounded(ranked, gone, rules)
    return Selection({name: lost | ranked[name].isneginf() for name, lost in gone.items()}, (*notes, *rounded))


def lowest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` lowest of (n,) scores as (n,) bool; ties go by index, the first going first."""
    if count <= 0 or count >= len(scores):
        return torch.full_like(scores, count > 0, dtype=torch.bool)
    bound = torch.kthvalue(scores, count).values
    below, ties = scores < bound, scores == bound
    return below | (ties & (ties.cumsum(0) <= count - below.sum()))


def _normalised(scores: torch.Tensor) -> torch.Tensor:
    left = scores[~scores.isneginf()]
    mean = left.abs().mean()
    return scores / torch.where(mean > 0, mean, torch.ones_like(mean))


def _within(scores: Scores, rules: Rules) -> tuple[Choice, list[str]]:
    """Every group by itself: its own level, or the bound."""
    gone, notes = {}, []
    for name, s in scores.items():
        wanted = _below(s, rules.amount) if rules.absolute else count_of(len(s), level_of(name, rules.amount))
        count = min(wanted, max(0, len(s) - rules.min_units))
        if count < wanted:
            notes.append(_held(name, rules))
        gone[name] = lowest(s, count)
    return gone, notes


def _below(scores: torch.Tensor, bound: float | Mapping[str, float]) -> int:
    return int((scores <= bound).sum()) if isinstance(bound, (int, float)) else 0


def _across(scores: Scores, rules: Rules) -> tuple[Choice, list[str]]:
    """One ranking over all groups; where that would leave a group with less than `min_units`, its best ones are safe."""
    sizes = {name: len(s) for name, s in scores.items()}
    together = torch.cat(list(scores.values()))
    count = count_of(len(together), level_of("", rules.amount))
    gone = _split(lowest(together, count), sizes)
    short = [name for name, lost in gone.items() if sizes[name] - int(lost.sum()) < rules.min_units]
    if not short:
        return gone, []
    open_to_all = {name: lowest(s, max(0, sizes[name] - rules.min_units)) for name, s in scores.items()}
    safe = {name: torch.where(open_to_all[name], s, torch.inf) for name, s in scores.items()}
    count = min(count, sum(int(o.sum()) for o in open_to_all.values()))
    return _split(lowest(torch.cat(list(safe.values())), count), sizes), [_held(name, rules) for name in short]


def _split(together: torch.Tensor, sizes: Mapping[str, int]) -> Choice:
    return dict(zip(sizes, together.split(list(sizes.values())), strict=True))


def _rounded(scores: Scores, gone: Choice, rules: Rules) -> tuple[Choice, list[str]]:
    if rules.round_to == 1:
        return gone, []
    out, notes = {}, []
    for name, lost in gone.items():
        size, left = len(lost), len(lost) - int(lost.sum())
        width = rounded_width(left, size, rules.round_to)
        if width != left:
            notes.append(f"{name}: {left} units were asked for, {width} stay (round_to {rules.round_to})")
        out[name] = lost if width == left else lowest(scores[name], size - width)
    return out, notes


def _held(name: str, rules: Rules) -> str:
    return f"{name}: held at {rules.min_units} (min_units)"

"""Selection against brute force, and its invariants on whatever hypothesis draws."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.pruning.select import Rules, lowest, select
from prunesearch.rules import count_of

Scope = Literal["layer", "global", "ratios"]
values = st.lists(st.integers(0, 6), min_size=2, max_size=12).map(lambda v: torch.tensor(v, dtype=torch.float32))
scores = st.lists(values, min_size=1, max_size=4).map(lambda groups: {f"g{i}": s for i, s in enumerate(groups)})
levels = st.floats(0.0, 0.999)


def flat(by_group: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(by_group.values()))


@pytest.mark.parametrize(
    ("size", "level", "count"), [(10, 0.7, 7), (10, 0.69, 6), (3, 1 / 3, 1), (3, 0.33, 0), (100, 0.29, 29), (7, 0, 0)]
)
def test_count_is_the_floor_of_the_share_without_rounding_errors(size: int, level: float, count: int) -> None:
    assert count_of(size, level) == count


@given(values, st.integers(-1, 13))
def test_the_lowest_go_and_ties_go_by_index(s: torch.Tensor, count: int) -> None:
    order = sorted(range(len(s)), key=lambda i: (float(s[i]), i))[: max(0, count)]
    assert lowest(s, count).nonzero().flatten().tolist() == sorted(order)


@given(scores, levels, st.sampled_from(["layer", "global"]), st.integers(1, 3))
def test_every_kept_score_is_at_least_every_pruned_one_and_counts_are_exact(
    s: dict[str, torch.Tensor], level: float, scope: Scope, floor: int
) -> None:
    chosen = select(s, Rules(level, scope=scope, min_units=floor))
    held = {note.split(":")[0] for note in chosen.notes}
    for name, lost in chosen.gone.items():
        left = s[name][~lost]
        assert len(left) >= min(floor, len(s[name]))
        assert not bool(lost.any()) or float(s[name][lost].max()) <= float(left.min())
        if scope == "layer" and name not in held:
            assert int(lost.sum()) == math.floor(len(lost) * level + 1e-9)
    if scope == "global" and not held:
        gone, together = flat(chosen.gone), flat(s)
        assert int(gone.sum()) == math.floor(len(gone) * level + 1e-9)
        assert not bool(gone.any()) or float(together[gone].max()) <= float(together[~gone].min())


@given(scores, levels, levels, st.sampled_from(["layer", "global"]), st.sampled_from([1, 2, 4]))
def test_later_masks_contain_earlier_ones(
    s: dict[str, torch.Tensor], one: float, other: float, scope: Scope, multiple: int
) -> None:
    first, last = sorted((one, other))
    early = select(s, Rules(first, scope=scope, round_to=multiple)).gone
    reversed_scores = {n: torch.where(early[n], -torch.inf, -v) for n, v in s.items()}  # whatever is left now ranks otherwise
    late = select(reversed_scores, Rules(last, scope=scope, round_to=multiple)).gone
    assert all(bool((late[name] | ~lost).all()) for name, lost in early.items())


@given(scores, levels, st.sampled_from(["layer", "global"]), st.sampled_from([2, 3, 8]))
def test_widths_left_are_rounded_up_to_multiples_or_to_the_full_width(
    s: dict[str, torch.Tensor], level: float, scope: Scope, multiple: int
) -> None:
    plain = select(s, Rules(level, scope=scope)).gone
    rounded = select(s, Rules(level, scope=scope, round_to=multiple))
    for name, lost in rounded.gone.items():
        left, asked = int((~lost).sum()), int((~plain[name]).sum())
        assert left == min(len(lost), math.ceil(asked / multiple) * multiple)
        assert (left != asked) == any(note.startswith(f"{name}:") and "round_to" in note for note in rounded.notes)


@given(scores, st.floats(0, 6), st.booleans())
def test_under_a_bound_goes_everything_at_or_below_it(s: dict[str, torch.Tensor], bound: float, normalised: bool) -> None:
    chosen = select(s, Rules(bound, absolute=True, normalised=normalised))
    for name, lost in chosen.gone.items():
        mean = float(s[name].abs().mean()) or 1.0
        below = (s[name] / mean if normalised else s[name]) <= bound
        if not any(note.startswith(f"{name}:") for note in chosen.notes):
            assert torch.equal(lost, below)
        else:
            assert bool(below.all()) and int((~lost).sum()) == 1


def test_globally_the_next_ranked_go_in_place_of_a_group_s_last_one_and_that_is_told() -> None:
    chosen = select({"small": torch.tensor([1.0, 2.0]), "large": torch.tensor([3.0, 4.0, 5.0, 6.0])}, Rules(0.5, scope="global"))
    assert chosen.gone["small"].tolist() == [True, False]
    assert chosen.gone["large"].tolist() == [True, True, False, False]
    assert chosen.notes == ("small: held at 1 (min_units)",)


def test_each_group_has_its_own_ratio() -> None:
    s = {name: torch.arange(10.0) for name in ("conv1", "conv2", "fc")}
    chosen = select(s, Rules({"default": 0.1, "conv*": 0.5, "conv2": 0.9}, scope="ratios"))
    assert {name: int(lost.sum()) for name, lost in chosen.gone.items()} == {"conv1": 5, "conv2": 9, "fc": 1}


def test_units_compete_by_their_share_of_their_group_s_mean() -> None:
    s = {"loud": torch.tensor([10.0, 20.0, 30.0]), "quiet": torch.tensor([0.1, 0.2, 0.3])}
    assert select(s, Rules(0.34, scope="global")).gone["quiet"].sum() == 2
    normalised = select(s, Rules(0.34, scope="global", normalised=True)).gone
    assert {name: lost.tolist() for name, lost in normalised.items()} == {name: [True, False, False] for name in s}


def test_the_mean_is_that_of_what_is_left() -> None:
    gone = -torch.inf
    s = {"a": torch.tensor([gone, gone, 2.0, 4.0]), "b": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    chosen = select(s, Rules(3 / 8, scope="global", normalised=True)).gone  # a: 2/3, 4/3; b: 0.4, ...
    assert (chosen["a"].tolist(), chosen["b"].tolist()) == ([True, True, False, False], [True, False, False, False])

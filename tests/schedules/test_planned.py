"""Every planned schedule against sequences worked out by hand. N epochs, E first cut, C epochs of ramp, R rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.schedules import PLANNED, make_schedule, plan
from prunesearch.schedules.base import Order


def raw(**fields: Any) -> list[tuple[int, Order]]:
    """The orders of a policy as it is written, without its canonical form."""
    policy = Policy(**fields)
    assert policy.function is not None
    return list(PLANNED[policy.function](policy))


def levels(orders: list[tuple[int, Order]]) -> dict[int, Any]:
    return {
        epoch: {g: round(v, 6) for g, v in order.amount.items()} if isinstance(order.amount, Mapping) else round(order.amount, 6)
        for epoch, order in orders
    }


# function       N   E  further              T      epoch: level, worked out by hand
SEQUENCES = """
one_shot         4   2  -                    0.8    2:0.8 3:0.8 4:0.8
one_shot         1   0  -                    0.8    0:0.8 1:0.8
one_shot         4   4  -                    0.8    4:0.8
one_shot         0   0  -                    0.8    0:0.8
one_shot_static  4   0  -                    0.8    0:0.8
one_shot_static  4   4  -                    0.8    4:0.8
one_shot_static  0   0  -                    0.8    0:0.8

gradual          8   2  linear C=4           0.8    3:0.2 4:0.4 5:0.6 6:0.8
gradual          4   0  linear C=4           0.8    1:0.2 2:0.4 3:0.6 4:0.8
gradual          8   2  cubic C=4            0.8    3:0.4625 4:0.7 5:0.7875 6:0.8
gradual          4   2  cubic C=1            0.8    3:0.8
gradual          4   2  linear C=1           0.8    3:0.8
gradual          4   2  linear C=0           0.8    2:0.8
gradual          4   4  cubic C=0            0.8    4:0.8
gradual          0   0  cubic C=0            0.8    0:0.8

iterative       10   2  trained R=3          0.8    2:0.415196 4:0.658005 7:0.8
iterative        4   0  trained R=2          0.75   0:0.5 2:0.75
iterative        3   0  trained R=3          0.875  0:0.5 1:0.75 2:0.875
iterative        4   0  trained R=3          0.875  0:0.5 1:0.75 2:0.875
iterative        4   4  trained R=1          0.8    4:0.8
iterative        0   0  trained R=1          0.8    0:0.8
iterative        5   1  at_end R=3           0.875  1:0.5 3:0.75 5:0.875
iterative        2   0  at_end R=3           0.875  0:0.5 1:0.75 2:0.875
iterative        2   0  at_end R=1           0.8    2:0.8
iterative        0   0  at_end R=1           0.8    0:0.8
"""
"""Cubic over 4 epochs: shares 37/64, 56/64, 63/64, 1. Rounds of .8 in 3: 1 - .2^(1/3), 1 - .2^(2/3), .8, before 2,
2 + floor(8/3) and 2 + floor(16/3). Rounds of .875 in 3 halve what is left each time; R = 3 is as many as N - E = 3 allows."""


def sequences() -> list[tuple[dict[str, Any], dict[int, float]]]:
    """The table's lines as fields of a policy and levels by epoch."""
    return [_parsed(line.split()) for line in SEQUENCES.splitlines() if line.strip()]


def _parsed(words: list[str]) -> tuple[dict[str, Any], dict[int, float]]:
    fields: dict[str, Any] = {"function": words[0], "epochs": int(words[1]), "epoch_threshold": int(words[2])}
    if words[0] == "gradual":
        fields |= {"ramp": words[3], "converge_over": int(words.pop(4).removeprefix("C="))}
    if words[0] == "iterative":
        fields |= {"last_cut": words[3], "prune_iter": int(words.pop(4).removeprefix("R="))}
    levels = {int(epoch): float(level) for epoch, level in (pair.split(":") for pair in words[5:])}
    return fields | {"threshold": float(words[4])}, levels


@pytest.mark.parametrize(("fields", "expected"), sequences())
def test_levels_are_those_worked_out_by_hand(fields: dict[str, Any], expected: dict[int, float]) -> None:
    assert levels(raw(**fields)) == expected


@pytest.mark.parametrize(("fields", "expected"), sequences())
def test_the_canonical_form_orders_the_same_levels(fields: dict[str, Any], expected: dict[int, float]) -> None:
    assert levels(plan(Policy(**fields))) == expected


def test_a_bound_climbs_the_ramp() -> None:
    fields = {"ramp": "linear", "epochs": 4, "converge_over": 4, "weight_threshold": 0.08}
    orders = raw(schedule_type="magnitude_threshold", function="gradual", **fields)
    assert levels(orders) == {1: 0.02, 2: 0.04, 3: 0.06, 4: 0.08}


def test_the_schedule_says_epoch_by_epoch_what_the_plan_lists() -> None:
    policy = Policy(epochs=10, function="iterative", epoch_threshold=2, prune_iter=3, threshold=0.8)
    schedule = make_schedule(policy)
    state, said = schedule.init(), []
    for epoch in range(policy.epochs + 1):
        decision, state = schedule.before(epoch, state, 0.5)
        assert decision.came_back is None
        said += [(epoch, decision.order)] if decision.order else []
    assert said == plan(policy)


RATIOS = {"default": 0.5, "fc1": 0.75}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"function": "one_shot", "epoch_threshold": 3}, {3: RATIOS, 4: RATIOS}),
        ({"function": "one_shot_static", "epoch_threshold": 3}, {3: RATIOS}),
        (
            {"function": "gradual", "ramp": "linear", "epoch_threshold": 0, "converge_over": 2},
            {1: {"default": 0.25, "fc1": 0.375}, 2: RATIOS},
        ),
        (
            {"function": "gradual", "ramp": "cubic", "epoch_threshold": 0, "converge_over": 2},
            {1: {"default": 0.4375, "fc1": 0.65625}, 2: RATIOS},
        ),
        ({"function": "iterative", "epoch_threshold": 0, "prune_iter": 2}, {0: {"default": 0.292893, "fc1": 0.5}, 2: RATIOS}),
    ],
)
def test_ratios_end_at_their_own_levels_by_the_same_curve(fields: dict[str, Any], expected: dict[int, Any]) -> None:
    assert levels(raw(epochs=4, scope="ratios", ratio=RATIOS, **fields)) == expected


def test_an_order_cannot_change_the_policy_it_came_from() -> None:
    policy = Policy(epochs=4, scope="ratios", ratio=RATIOS)
    [(_, order)] = plan(policy)
    assert order.amount == policy.ratio
    assert order.amount is not policy.ratio


def test_only_one_shot_is_free_and_only_a_bound_is_absolute() -> None:
    for function in PLANNED:
        for kind in ("magnitude_percentage", "magnitude_threshold"):
            if (function, kind) == ("iterative", "magnitude_threshold"):
                continue
            orders = raw(epochs=6, epoch_threshold=1, function=function, schedule_type=kind)
            assert {o.enforced for _, o in orders} == {function != "one_shot"}
            assert {o.absolute for _, o in orders} == {kind == "magnitude_threshold"}


@pytest.mark.parametrize("function", PLANNED)
def test_exactly_the_last_order_is_marked_last(function: str) -> None:
    orders = raw(epochs=6, epoch_threshold=1, function=function)
    assert [o.last for _, o in orders] == [False] * (len(orders) - 1) + [True]


def restarts(orders: list[tuple[int, Order]]) -> dict[int, tuple[str, int, bool, int]]:
    return {epoch: (o.recovery, o.rewind_to, o.lr_restart, o.lr_length) for epoch, o in orders}


def test_one_shot_static_recovers_and_restarts_over_what_is_left() -> None:
    orders = raw(epochs=10, epoch_threshold=3, recovery="rewind_weights", rewind_to=2, lr_restart=True)
    assert restarts(orders) == {3: ("rewind_weights", 2, True, 7)}


def test_gradual_recovers_and_restarts_at_its_last_cut_only() -> None:
    orders = raw(epochs=10, function="gradual", epoch_threshold=2, converge_over=3, recovery="reinit")
    assert restarts(orders) == {3: ("keep", 0, False, 0), 4: ("keep", 0, False, 0), 5: ("reinit", 0, True, 5)}


def test_iterative_recovers_and_restarts_in_every_round() -> None:
    """Rounds before 2, 4 and 7 of 10 epochs: the learning rate runs over 2, then 3, then 3 epochs."""
    orders = raw(epochs=10, function="iterative", epoch_threshold=2, prune_iter=3, recovery="rewind_weights", lr_restart=True)
    assert restarts(orders) == {
        2: ("rewind_weights", 0, True, 2),
        4: ("rewind_weights", 0, True, 3),
        7: ("rewind_weights", 0, True, 3),
    }


def test_without_a_restart_no_order_says_how_long_one_would_run() -> None:
    orders = raw(epochs=10, function="iterative", epoch_threshold=2, prune_iter=3, recovery="rewind_weights", lr_restart=False)
    assert {(o.lr_restart, o.lr_length, o.initial_learning_rate) for _, o in orders} == {(False, 0, None)}


def test_a_cut_after_the_last_epoch_leaves_no_epoch_to_restart_over() -> None:
    [(epoch, order)] = raw(epochs=5, epoch_threshold=5, lr_restart=True)
    assert (epoch, order.lr_restart, order.lr_length) == (5, True, 0)


def test_rewind_pruning_has_no_plan() -> None:
    with pytest.raises(PolicyError, match="follow the accuracy"):
        plan(Policy(epochs=8, schedule_type="rewind_pruning"))

"""What holds for every valid policy that has a plan, and what makes two policies one."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch import rules
from prunesearch.policy import Policy
from prunesearch.schedules import PLANNED, make_schedule, plan
from prunesearch.schedules.amounts import goal
from prunesearch.schedules.base import Order


@st.composite
def policies(draw: st.DrawFn, /, **fixed: str) -> Policy:
    """Any valid policy with the fields `fixed`, drawn field by field from what the rules allow."""
    fields: dict[str, Any] = {"epochs": draw(st.integers(0, 30)), **fixed}
    for name in ("schedule_type", "granularity", "criterion", "function", "scope", "recovery"):
        if name in rules.used(fields) - fields.keys() and rules.choices(name, fields):
            fields[name] = draw(st.sampled_from(rules.choices(name, fields)))
    for name in ("lr_restart", "last_cut", "ramp"):
        words = {"last_cut": ("trained", "at_end"), "ramp": ("linear", "cubic")}.get(name)
        if name in rules.used(fields):
            fields[name] = draw(st.sampled_from(words or rules.choices(name, fields)))
    for name in ("epoch_threshold", "converge_over", "prune_iter", "rewind_to", "recovery_epochs"):
        if name in rules.used(fields):
            fields[name] = draw(st.integers(*rules.bounds(name, fields)))
    fraction = st.floats(0.0, 0.98)
    amounts = {"threshold": fraction, "weight_threshold": st.floats(0.0, 3.0), "threshold_step": st.floats(0.001, 0.5)}
    amounts["ratio"] = st.dictionaries(st.sampled_from(["default", "fc1", "conv*"]), fraction, min_size=1)  # type: ignore[assignment]
    return Policy(**fields, **{name: draw(amounts[name]) for name in sorted(rules.used(fields) & amounts.keys())})


planned = st.one_of(policies(schedule_type="magnitude_percentage"), policies(schedule_type="magnitude_threshold"))
iterative = st.one_of(
    *(policies(schedule_type="magnitude_percentage", function="iterative", scope=s) for s in ("layer", "global"))
)
gradual = st.one_of(*(policies(schedule_type=s, function="gradual") for s in ("magnitude_percentage", "magnitude_threshold")))


def as_written(policy: Policy) -> list[tuple[int, Order]]:
    """The orders of the policy in the form it is written in, not in its canonical one."""
    assert policy.function is not None
    return list(PLANNED[policy.function](policy))


def effect(policy: Policy) -> tuple[Any, ...]:
    """What the orders as written do: after the last epoch it makes no difference whether a mask is enforced."""
    return tuple((e, replace(o, enforced=o.enforced or e == policy.epochs)) for e, o in as_written(policy))


def values(order: Order) -> dict[str, float]:
    return dict(order.amount) if isinstance(order.amount, Mapping) else {"": order.amount}


@given(planned)
def test_orders_lie_between_e_and_n_one_per_epoch(policy: Policy) -> None:
    epochs = [epoch for epoch, _ in plan(policy)]
    assert epochs == sorted(set(epochs))
    assert policy.epoch_threshold <= epochs[0] and epochs[-1] <= policy.epochs


@given(planned)
def test_levels_never_fall_and_end_at_the_goal(policy: Policy) -> None:
    orders = [order for _, order in plan(policy)]
    for earlier, later in itertools.pairwise(orders):
        assert all(values(later)[group] >= level for group, level in values(earlier).items())
    assert orders[-1].amount == goal(policy)


@given(planned)
def test_the_last_order_stands_where_the_rules_say(policy: Policy) -> None:
    """Search space and stopping rule read `rules.last_cut_epoch`, the session reads the orders: one truth."""
    [last] = [epoch for epoch, order in plan(policy) if order.last]
    assert last == (policy.epochs if policy.function == "one_shot" else rules.last_cut_epoch(policy.present()))


@given(planned)
def test_learning_rate_segments_never_overlap_nor_pass_the_end(policy: Policy) -> None:
    starts = [(epoch, order.lr_length) for epoch, order in plan(policy) if order.lr_restart]
    for (epoch, length), (following, _) in itertools.pairwise([*starts, (policy.epochs, 0)]):
        assert epoch + length == following


@given(iterative)
def test_every_round_removes_the_same_share_of_what_is_left(policy: Policy) -> None:
    left = [1.0] + [1.0 - values(order)[""] for _, order in plan(policy)]
    share = (1.0 - (policy.threshold or 0.0)) ** (1 / (policy.prune_iter or 1))
    assert all(math.isclose(b / a, share, rel_tol=1e-9) for a, b in itertools.pairwise(left))


@given(gradual)
def test_a_cubic_ramp_is_never_below_a_linear_one(policy: Policy) -> None:
    linear, cubic = (plan(Policy(**policy.present() | {"ramp": ramp})) for ramp in ("linear", "cubic"))
    for (_, one), (_, other) in zip(linear, cubic, strict=True):
        assert all(values(other)[g] >= level * (1 - 1e-12) for g, level in values(one).items())


@given(policies())
def test_the_canonical_form_keeps_digest_and_schedule(policy: Policy) -> None:
    canonical = policy.canonical()
    assert canonical.canonical() == canonical
    assert canonical.digest == policy.digest
    assert make_schedule(canonical, target=0.9) == make_schedule(policy, target=0.9)


@given(planned)
def test_the_canonical_form_orders_what_the_policy_as_written_orders(policy: Policy) -> None:
    assert effect(policy) == effect(policy.canonical())


def small_policies(epochs: int, **fixed: Any) -> Iterator[Policy]:
    """Every schedule, recovery and restart that there is in so few epochs."""
    for function in rules.choices("function", fixed):
        branch = {"epochs": epochs, "function": function, **fixed}
        for first in range(epochs + 1):
            yield from _recovered(branch | {"epoch_threshold": first})


def _recovered(branch: dict[str, Any]) -> Iterator[Policy]:
    for recovery in rules.choices("recovery", branch):
        fields = branch | {"recovery": recovery}
        own: dict[str, tuple[Any, ...]] = {"lr_restart": rules.choices("lr_restart", fields)}
        own |= {"ramp": ("linear", "cubic"), "last_cut": ("trained", "at_end")}
        own = {name: words for name, words in own.items() if name in rules.used(fields)}
        for words in itertools.product(*own.values()):
            yield from _numbered(fields | dict(zip(own, words, strict=True)))


def _numbered(fields: dict[str, Any]) -> Iterator[Policy]:
    names = [n for n in ("converge_over", "prune_iter", "rewind_to") if n in rules.used(fields)]
    ranges = [range(low, high + 1) for low, high in (rules.bounds(n, fields) for n in names)]
    for numbers in itertools.product(*ranges):
        yield Policy(**fields, **dict(zip(names, numbers, strict=True)))


@pytest.mark.parametrize("kind", ["magnitude_percentage", "magnitude_threshold"])
@pytest.mark.parametrize("epochs", [0, 1, 2, 3])
def test_policies_share_a_digest_exactly_when_they_order_the_same(kind: str, epochs: int) -> None:
    by_effect, by_digest = defaultdict(set), defaultdict(set)
    for policy in small_policies(epochs, schedule_type=kind, granularity="weight", criterion="l1"):
        by_effect[repr(effect(policy))].add(policy.digest)
        by_digest[policy.digest].add(repr(effect(policy)))
    assert {e: d for e, d in by_effect.items() if len(d) > 1} == {}
    assert {d: e for d, e in by_digest.items() if len(e) > 1} == {}
    assert len(by_effect) >= epochs + 1


SAME: list[list[dict[str, Any]]] = [
    # for single weights the three norms are one
    [{"criterion": "l1"}, {"criterion": "l2"}, {"criterion": "linf"}],
    [{"scope": "global", "criterion": c} for c in ("l1", "l2", "linf")],
    [{"schedule_type": "magnitude_threshold", "criterion": c} for c in ("l1", "l2", "linf")],
    [{"schedule_type": "rewind_pruning", "criterion": c} for c in ("l1", "l2", "linf", "lamp")],
    # lamp within a layer is l1, also with a fraction per layer
    [{"scope": "layer", "criterion": c} for c in ("l1", "lamp")],
    [{"scope": "ratios", "ratio": {"default": 0.5}, "criterion": c} for c in ("l1", "lamp")],
    # a single cut, by whatever name
    [
        {"epoch_threshold": 3},
        {"function": "gradual", "epoch_threshold": 3, "converge_over": 0},
        {"function": "gradual", "epoch_threshold": 2, "converge_over": 1, "ramp": "linear"},
        {"function": "gradual", "epoch_threshold": 2, "converge_over": 1, "ramp": "cubic"},
        {"function": "iterative", "epoch_threshold": 3, "prune_iter": 1},
    ],
    # pruned after the last epoch, with nothing trained behind it
    [
        {"epoch_threshold": 8},
        {"function": "one_shot", "epoch_threshold": 8},
        {"function": "iterative", "epoch_threshold": 1, "prune_iter": 1, "last_cut": "at_end"},
    ],
    # lists of names in another order
    [{"spare": ["fc2", "fc1"]}, {"spare": ["fc1", "fc2", "fc1"]}],
    # a default written out
    [{}, {"function": "one_shot_static", "threshold": 0.5, "scope": "layer"}],
]


@pytest.mark.parametrize("forms", SAME)
def test_the_listed_forms_are_one_policy(forms: list[dict[str, Any]]) -> None:
    assert len({Policy(epochs=8, **form).digest for form in forms}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"scope": "global", "criterion": "lamp"}, {"scope": "global", "criterion": "l1"}),
        ({"granularity": "neuron", "criterion": "l1"}, {"granularity": "neuron", "criterion": "l2"}),
        ({"function": "one_shot", "epoch_threshold": 7}, {"epoch_threshold": 7}),
        (
            {"function": "gradual", "converge_over": 2, "ramp": "linear"},
            {"function": "gradual", "converge_over": 2, "ramp": "cubic"},
        ),
        ({"function": "gradual", "epoch_threshold": 2, "converge_over": 1}, {"epoch_threshold": 2}),
        ({"lr_restart": True}, {"lr_restart": False}),
        ({"recovery": "rewind_weights", "epoch_threshold": 3, "rewind_to": 3}, {"epoch_threshold": 3}),
    ],
)
def test_what_differs_stays_two_policies(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Policy(epochs=8, **one).digest != Policy(epochs=8, **other).digest

"""The peers do the same work: their schedules, learning rates and masks, written by themselves, are prunesearch's."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.peers.plan import Plan, Rate, fixed_cuts
from benchmarks.scenarios import SCENARIOS, Scenario, distinct_epochs, one_of_each, schedule_of
from prunesearch.policy import Policy
from prunesearch.schedules import make_schedule, plan
from prunesearch.training.learning_rate import Recipe, Segment

LISTED = SCENARIOS["lenet300"].policies()
ACCURACIES = [0.9, 0.93, 0.95, 0.94, 0.93, 0.9495, 0.946, 0.95, 0.951, 0.9, 0.97]


def test_the_list_is_what_it_is_said_to_be() -> None:
    assert len(LISTED) == 24
    assert len({Policy.parse(p).digest for p in LISTED}) == 24
    kinds = [schedule_of(p) for p in LISTED]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("iterative", "one_shot_static", "gradual", "rewind_pruning"), 6
    )
    assert {p["granularity"] for p in LISTED} == {"weight", "neuron"}
    assert {p["epoch_threshold"] for p in LISTED} == set(range(10))


@pytest.mark.parametrize("policy", [p for p in LISTED if p.get("function")], ids=schedule_of)
def test_planned_cuts_are_prunesearchs(policy: dict[str, Any]) -> None:
    ours, theirs = dict(plan(Policy.parse(policy))), fixed_cuts(policy)
    assert {e: cut.level for e, cut in theirs.items()} == pytest.approx({e: order.amount for e, order in ours.items()})
    assert {e: cut.length for e, cut in theirs.items()} == {e: order.lr_length for e, order in ours.items()}


@pytest.mark.parametrize("policy", [p for p in LISTED if not p.get("function")], ids=lambda p: f"from-{p['epoch_threshold']}")
def test_rewinding_is_prunesearchs(policy: dict[str, Any]) -> None:
    schedule, peer = make_schedule(Policy.parse(policy)), Plan(policy)
    state = schedule.init()
    for epoch in range(11):
        accuracy = ACCURACIES[epoch - 1] if epoch else None
        decision, state = schedule.before(epoch, state, accuracy)
        cut, order = peer.before(epoch, accuracy), decision.order
        assert peer.came_back == pytest.approx(decision.came_back)
        assert (cut is None) == (order is None)
        if cut is not None and order is not None:
            assert (cut.level, cut.length, cut.rate) == pytest.approx(
                (order.amount, order.lr_length, order.initial_learning_rate)
            )


def test_learning_rates_are_prunesearchs() -> None:
    rate, recipe = Rate(2e-3, 5, 3), Recipe("cosine")
    ours = [2e-3 * f for epoch in range(4) for f in Segment(0, 3).rates(recipe, epoch, 5)]
    assert [rate.next() for _ in range(20)] == pytest.approx(ours)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.name)
def test_every_network_takes_the_list(scenario: Scenario) -> None:
    parsed = [Policy.parse(p) for p in scenario.policies()]
    assert {p.epochs for p in parsed} == {scenario.epochs}
    assert {p.granularity for p in parsed} == {"weight", scenario.kind}
    assert len(one_of_each(scenario.policies())) == 4


def test_distinct_epochs_are_counted_from_the_first_cut() -> None:
    listed = [
        {"function": "one_shot_static", "epoch_threshold": 4},
        {"function": "gradual", "epoch_threshold": 4},
        {"schedule_type": "rewind_pruning", "epoch_threshold": 9},
    ]
    assert distinct_epochs(listed, 10) == 10 + 6 + 5 + 1

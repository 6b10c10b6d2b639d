"""rewind_pruning on scripted accuracies: what is cut when, what came back, what is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.schedules import make_schedule
from prunesearch.schedules.base import Order


@dataclass
class Told:
    """What a schedule said: the level cut before an epoch, and the level that had come back by then."""

    cuts: dict[int, float] = field(default_factory=dict)
    back: dict[int, float] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)


def policy(**fields: Any) -> Policy:
    given: dict[str, Any] = {
        "epochs": 8,
        "epoch_threshold": 2,
        "threshold": 0.5,
        "threshold_step": 0.2,
        "threshold_max": 0.9,
        "eps": 0.01,
    } | fields
    return Policy(schedule_type="rewind_pruning", **given)


def play(policy: Policy, accuracies: Sequence[float], *, target: float | None = None, given: float | None = None) -> Told:
    """`accuracies[e]` is measured after epoch e; `given` is that of given weights, before epoch 0."""
    schedule = make_schedule(policy, target=target)
    state, told = schedule.init(), Told()
    for epoch, accuracy in enumerate([given, *accuracies]):
        decision, state = schedule.before(epoch, state, accuracy)
        if decision.order:
            assert isinstance(decision.order.amount, float)
            told.cuts[epoch] = round(decision.order.amount, 9)
            told.orders.append(decision.order)
        if decision.came_back is not None:
            told.back[epoch] = round(decision.came_back, 9)
    return told


def test_every_level_that_came_back_is_followed_by_the_next_cut() -> None:
    """Target .95, the best of epochs 0 and 1; a level is back at .94 or more."""
    told = play(policy(), [0.95, 0.93, 0.90, 0.94, 0.90, 0.93, 0.96, 0.90])
    assert told.cuts == {2: 0.5, 4: 0.7, 7: 0.9}
    assert told.back == {4: 0.5, 7: 0.7}


def test_the_target_is_the_best_accuracy_before_the_first_cut_and_none_after_it() -> None:
    told = play(policy(), [0.90, 0.91, 0.99, 0.90, 0.89, 0.90, 0.90, 0.90])
    assert told.back == {3: 0.5, 4: 0.7, 6: 0.9}


def test_the_epoch_before_the_end_counts_and_cuts_nothing_any_more() -> None:
    told = play(policy(epochs=4), [0.9, 0.9, 0.8, 0.9])
    assert told.cuts == {2: 0.5}
    assert told.back == {4: 0.5}


def test_none_came_back() -> None:
    told = play(policy(), [0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert told.cuts == {2: 0.5}
    assert told.back == {}


def test_at_the_cap_nothing_is_cut_nor_restarted_and_it_comes_back_once() -> None:
    told = play(policy(threshold=0.8), [0.9] * 8)
    assert told.cuts == {2: 0.8, 3: 0.9}
    assert told.back == {3: 0.8, 4: 0.9}


def test_the_cap_cuts_a_step_short() -> None:
    told = play(policy(threshold=0.6), [0.9] * 8)
    assert told.cuts == {2: 0.6, 3: 0.8, 4: 0.9}


def test_a_first_level_at_the_cap_is_the_only_one() -> None:
    told = play(policy(threshold=0.9), [0.9] * 8)
    assert told.cuts == {2: 0.9}
    assert told.back == {3: 0.9}


def test_levels_that_differ_by_rounding_alone_are_one() -> None:
    """0.03 + 3 x 0.29 is 0.8999999999999999: it is the cap of 0.9, and no cut of nothing follows it."""
    told = play(policy(threshold=0.03, threshold_step=0.29, threshold_max=0.9, epochs=12), [0.9] * 12)
    assert list(told.cuts.values()) == [0.03, 0.32, 0.61, 0.9]


def test_every_cut_restarts_the_learning_rate_over_recovery_epochs() -> None:
    told = play(policy(recovery_epochs=3, initial_learning_rate=0.005), [0.9] * 8)
    assert len(told.orders) == 3
    for order in told.orders:
        assert order == Order(
            order.amount, absolute=False, enforced=True, lr_restart=True, lr_length=3, initial_learning_rate=0.005
        )


def test_a_level_may_need_longer_than_recovery_epochs() -> None:
    told = play(policy(recovery_epochs=1), [0.9, 0.9, 0.8, 0.8, 0.8, 0.9, 0.8, 0.8])
    assert told.cuts == {2: 0.5, 6: 0.7}


@pytest.mark.parametrize(("target", "eps", "accuracy", "back"), [
    (0.8, 0.1, 0.7, True),       # 0.8 - 0.1 is 0.7000000000000001
    (0.3, 0.1, 0.2, True),
    (0.8, 0.1, 0.6999, False),
    (0.8, 0.0, 0.8, True),
    (0.8, 0.0, 0.7999, False),
])  # fmt: skip
def test_eps_is_included(target: float, eps: float, accuracy: float, back: bool) -> None:
    told = play(policy(epochs=3, eps=eps), [target, target, accuracy])
    assert bool(told.back) is back


def test_given_weights_set_the_target_and_allow_a_cut_before_any_training() -> None:
    told = play(policy(epoch_threshold=0), [0.93, 0.945, 0.95, 0.9, 0.9, 0.9, 0.9, 0.9], target=0.95, given=0.95)
    assert told.cuts == {0: 0.5, 2: 0.7, 3: 0.9}


def test_the_target_of_given_weights_stays_when_training_improves_on_it() -> None:
    told = play(policy(epoch_threshold=2), [0.97, 0.98, 0.94, 0.9, 0.9, 0.9, 0.9, 0.9], target=0.95, given=0.95)
    assert told.back == {3: 0.5}


def test_without_a_target_the_accuracy_of_given_weights_counts_like_an_epoch() -> None:
    assert play(policy(epoch_threshold=0), [0.94] * 8, given=0.95).back == {1: 0.5, 2: 0.7, 3: 0.9}


def test_no_epochs_at_all_cuts_the_first_level_only() -> None:
    told = play(policy(epochs=0, epoch_threshold=0), [], target=0.9)
    assert told.cuts == {0: 0.5}
    assert told.back == {}


def test_from_scratch_there_must_be_an_epoch_before_the_first_cut() -> None:
    with pytest.raises(PolicyError, match=r"no accuracy to come back to.*epoch_threshold = 0"):
        play(policy(epoch_threshold=0), [0.9] * 8)


def test_an_accuracy_that_is_nan_is_no_target_and_does_not_come_back() -> None:
    nan = float("nan")
    assert play(policy(), [nan, 0.9, nan, 0.9, 0.9, nan, nan, nan]).back == {4: 0.5, 5: 0.7}
    with pytest.raises(PolicyError, match="no accuracy to come back to"):
        play(policy(), [nan, nan, 0.9])


def test_a_loop_that_tells_no_accuracy_is_told_so() -> None:
    schedule = make_schedule(policy(), target=0.9)
    _, state = schedule.before(2, schedule.init(), None)
    with pytest.raises(PolicyError, match="none before epoch 3"):
        schedule.before(3, state, None)


@given(
    accuracies=st.lists(st.floats(0.5, 1.0), min_size=1, max_size=20),
    first=st.integers(1, 10),
    threshold=st.floats(0.0, 0.9),
    step=st.floats(0.001, 0.5),
    eps=st.floats(0.0, 0.1),
)
def test_whatever_happens(accuracies: list[float], first: int, threshold: float, step: float, eps: float) -> None:
    """Levels rise strictly and stay under the cap; each comes back at most once, in order, before the next is cut."""
    n = len(accuracies)
    first = min(first, n - 1)
    if first < 1:
        return
    made = policy(epochs=n, epoch_threshold=first, threshold=threshold, threshold_step=step, eps=eps)
    told = play(made, accuracies)
    cut, back = list(told.cuts.values()), list(told.back.values())
    assert cut == sorted(set(cut)) and cut[-1] <= 0.9 and min(told.cuts) == first
    assert n not in told.cuts
    assert back == cut[: len(back)] and len(back) in (len(cut) - 1, len(cut))
    assert all(accuracies[e - 1] >= max(accuracies[:first]) - eps - 1e-9 for e in told.back)
    assert list(told.back)[: len(cut) - 1] == list(told.cuts)[1:]

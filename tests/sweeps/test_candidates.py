"""Which points a sweep over whole networks has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunesearch.engines import EngineSpec, open_engine
from prunesearch.errors import PolicyError, UsageError
from prunesearch.policy import Policy
from prunesearch.results import TaskInfo
from prunesearch.sweeps import Cuts, policy_candidates, schedule_candidates

INFO: TaskInfo = open_engine("fake", EngineSpec("digits-cnn", 12)).describe()
GIVEN = replace(INFO, weights_given=True)


def test_plain_cuts_are_made_in_every_combination_and_level_0_is_the_dense_network() -> None:
    cuts = Cuts((0.0, 0.5, 0.9), ("weight", "unit"), ("l1", "l2"), ("layer", "global"))
    found = cuts.candidates(INFO)
    assert len(found) == 2 * 2 * 2 * 3
    assert len({c.series for c in found}) == 8
    assert [c.level for c in found[:3]] == [0.0, 0.5, 0.9]
    assert [c.policy is None for c in found[:3]] == [True, False, False]
    policies = {(c.series, c.level): c.policy for c in found if c.policy}
    one = policies["unit, l2, global", 0.9]
    assert (one.granularity, one.criterion, one.scope, one.threshold) == ("unit", "l2", "global", 0.9)
    assert {(p.function, p.epoch_threshold, p.epochs) for p in policies.values()} == {("one_shot_static", 12, 12)}


def test_retraining_takes_the_last_epochs_or_follows_given_weights() -> None:
    for info, asked, expected in ((INFO, 5, (7, 12)), (GIVEN, 5, (0, 5)), (GIVEN, 0, (0, 0))):
        (point,) = Cuts((0.5,), retrain=asked).candidates(info)
        assert point.policy is not None
        assert (point.policy.epoch_threshold, point.policy.epochs) == expected
    with pytest.raises(UsageError, match="retrain: 13 is more than the 12 epochs"):
        Cuts((0.5,), retrain=13).candidates(INFO)


def test_a_criterion_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PolicyError, match="criterion: 'bn_scale' does not go with granularity 'weight'"):
        Cuts((0.5,), criteria=("bn_scale",)).candidates(INFO)


def test_policies_of_other_epochs_are_rescaled_unless_weights_are_given() -> None:
    mine = {"mine": Policy(epochs=24, threshold=0.1, epoch_threshold=12)}
    dense, cut = policy_candidates(mine, (0.0, 0.7), INFO)
    assert dense.policy is None
    assert cut.policy == Policy(epochs=12, threshold=0.7, epoch_threshold=6)
    assert policy_candidates(mine, (0.7,), GIVEN)[0].policy == Policy(epochs=24, threshold=0.7, epoch_threshold=12)


def test_the_seven_schedules_share_their_dense_epochs_and_end_with_epochs_to_train() -> None:
    found = schedule_candidates(INFO, (0.1, 0.9))
    policies = {c.series: c.policy for c in found if c.level == 0.9 and c.policy}
    kinds = {(p.schedule_type, p.function) for p in policies.values()}
    functions = ("one_shot", "one_shot_static", "gradual")
    assert kinds == {(t, f) for t in ("magnitude_percentage", "magnitude_threshold") for f in functions} | {
        ("rewind_pruning", None)
    }
    assert {p.epoch_threshold for p in policies.values()} == {3}
    assert policies["percentage, gradual"].converge_over == 4
    rewinding = policies["rewind_pruning"]
    assert (rewinding.threshold, rewinding.threshold_step, rewinding.threshold_max) == (0.225, 0.225, 0.9)
    assert {p.threshold for s, p in policies.items() if s.startswith("percentage")} == {0.9}


def test_schedules_of_given_weights_begin_at_once_and_need_epochs() -> None:
    assert {c.policy.epoch_threshold for c in schedule_candidates(GIVEN, (0.5,)) if c.policy} == {0}
    with pytest.raises(UsageError, match="1 epochs are too few"):
        schedule_candidates(replace(INFO, epochs=1), (0.5,))


def test_schedules_at_the_smallest_levels_are_valid() -> None:
    found = schedule_candidates(INFO, (0.0, 0.002), granularity="filter")
    assert [c.policy is None for c in found] == [True, False] * 7

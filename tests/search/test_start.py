"""What is tried first: known policies, moved into any space, and the study's own, filled and refused as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from prunesearch.errors import StudyError
from prunesearch.search.space import Located, SearchSpace
from prunesearch.search.start import start_policies
from prunesearch.spec import StudySpec
from tests.search.parts import CNN, MLP, STAGES, info, spec


def starts(said: StudySpec, network: Any = None) -> tuple[Located, ...]:
    return start_policies(said, SearchSpace.of(said, network or info(MLP)))


@pytest.mark.parametrize("epochs", [0, 1, 2, 3, 10, 100])
@pytest.mark.parametrize("groups", [MLP, CNN, STAGES], ids=["mlp", "cnn", "stages"])
def test_known_policies_lie_in_every_default_space(epochs: int, groups: Any) -> None:
    said = spec(epochs=epochs, trials=40)
    space = SearchSpace.of(said, info(groups))
    found = start_policies(said, space)
    assert 4 <= len(found) <= 10
    assert len({located.policy.digest for located in found}) == len(found)
    for located in found:
        assert space.params(located.policy) == located.params
        assert located.policy.criterion == "l1"


def test_they_span_the_range_of_sizes_and_both_granularities() -> None:
    found = [located.policy for located in starts(spec(trials=40))]
    levels = {kind: sorted(p.threshold for p in found if p.threshold and p.is_unit == kind) for kind in (True, False)}
    assert levels[True][0] <= 0.5 and levels[True][-1] >= 0.9
    assert levels[False][0] <= 0.8 and levels[False][-1] >= 0.95
    assert {p.function for p in found} >= {"gradual", "one_shot_static", None}


@pytest.mark.parametrize(("trials", "count"), [(1, 1), (4, 1), (8, 2), (20, 5)])
def test_at_most_a_quarter_of_the_trials(trials: int, count: int) -> None:
    assert len(starts(spec(trials=trials))) == count


@pytest.mark.parametrize(
    "space",
    [
        {"scope": "ratios", "schedule_type": "magnitude_percentage", "ratio": {"default": [0.2, 0.6]}},
        {"schedule_type": "magnitude_threshold"},
        {"granularity": "neuron", "function": "iterative", "prune_iter": 4, "threshold": [0.1, 0.4]},
        {"criterion": "random", "epoch_threshold": [5, 8]},
    ],
)
def test_they_are_moved_into_a_narrow_space(space: dict[str, Any]) -> None:
    said = spec(space=space, trials=40)
    for located in starts(said):
        ratio = located.policy.ratio or {}
        assert all(0.2 <= value <= 0.6 for value in ratio.values())


def test_own_policies_take_the_studys_fixed_values_and_defaults() -> None:
    own = [{"function": "one_shot_static", "scope": "layer", "threshold": 0.5, "epoch_threshold": 2}]
    said = spec(space={"granularity": "filter", "round_to": 2, "recovery": ["reinit", "keep"]}, start=own)
    (located,) = starts(said, info(CNN))
    assert located.policy.granularity == "filter"
    assert located.policy.round_to == 2
    assert located.policy.recovery == "keep"
    assert located.policy.epochs == 10


def test_a_policy_for_other_epochs_is_rescaled() -> None:
    own = [{"epochs": 20, "function": "gradual", "threshold": 0.5, "epoch_threshold": 4, "converge_over": 10}]
    (located,) = starts(spec(start=own))
    assert (located.policy.epochs, located.policy.epoch_threshold, located.policy.converge_over) == (10, 2, 5)


def test_equal_policies_are_tried_once() -> None:
    own = [{"criterion": c, "threshold": 0.5, "granularity": "weight"} for c in ("l1", "l2", "linf")]
    assert len(starts(spec(start=own))) == 1


def test_all_that_is_wrong_with_all_of_them_is_told() -> None:
    own = [
        {"threshold": 0.99},
        {"treshold": 0.5},
        {"function": "gradual", "epoch_threshold": 8, "converge_over": 9},
        {"granularity": "filter"},
        {"scope": "ratios", "ratio": {"fc9": 0.5}},
        {"threshold": 0.5},
    ]
    with pytest.raises(StudyError) as caught:
        starts(spec(space={"threshold": [0.3, 0.9]}, start=own))
    text = str(caught.value)
    assert "start[0]: not in the space: threshold: the space reaches from 0.3 to 0.9, got 0.99" in text
    assert "start[1]: treshold: unknown field; did you mean 'threshold'" in text
    assert "start[2]: converge_over: epoch_threshold + converge_over = 17 lies beyond the 10 epochs" in text
    assert "start[3]: not in the space: granularity: the space has weight, neuron, got filter" in text
    assert "start[4]: " in text and "fc9" in text
    assert "start[5]" not in text


def test_the_earliest_first_cut_comes_first_and_equals_keep_their_order() -> None:
    weight = {"granularity": "weight", "threshold": 0.5}
    own = [
        {**weight, "epoch_threshold": 3},
        {**weight, "function": "gradual", "epoch_threshold": 1, "converge_over": 4},
        {**weight, "epoch_threshold": 2, "threshold": 0.7},
        {**weight, "epoch_threshold": 0},
        {**weight, "epoch_threshold": 2, "threshold": 0.4},
    ]
    found = [located.policy for located in starts(spec(start=own))]
    assert [(p.epoch_threshold, p.function == "gradual") for p in found] == [
        (0, False),
        (1, True),
        (2, False),
        (2, False),
        (3, False),
    ]
    assert [p.threshold for p in found] == [0.5, 0.5, 0.7, 0.4, 0.5]

"""A search that begins with a sensitivity: ranges and start policies by hand, and what a resumed study says of another one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import StudyError
from prunesearch.results import GroupInfo
from prunesearch.search.opening import find, open_study, refuse_changes
from prunesearch.search.space import SearchSpace
from prunesearch.search.start import start_policies
from prunesearch.sensitivity import GroupCurve, Sensitivity
from prunesearch.spec import StudySpec
from tests.search.conftest import Bench
from tests.search.parts import CNN, MLP, STAGES, info, spec

RATIOS = (0.2, 0.5, 0.8)
SENSITIVE, MIDDLING, NUMB = (0.06, 0.3, 0.5), (0.0, 0.015, 0.5), (0.0, 0.0, 0.002)


def made(drops: dict[Any, Any], groups: tuple[GroupInfo, ...], **fields: Any) -> dict[str, Any]:
    """A sensitivity as plain data."""
    sizes: dict[Any, int] = {(g.name, g.kind): g.size for g in groups}
    curves: Any = [GroupCurve(group=n, kind=k, size=sizes[n, k], drops=d) for (n, k), d in drops.items()]
    how: dict[str, Any] = {"task": "t", "digest": "d" * 16, "seeds": (0,), "epochs": 10, "criterion": "l1", "dense": 0.95}
    return Sensitivity(**{**how, "params": 10, "ratios": RATIOS, "groups": curves, **fields}).to_dict()


def study(drops: dict[Any, Any], groups: tuple[GroupInfo, ...] = MLP, **fields: Any) -> StudySpec:
    space = {"scope": "ratios", "schedule_type": "magnitude_percentage", **fields.pop("space", {})}
    found = made(drops, groups, retrain=fields.pop("retrain", 0), **fields.pop("found", {}))
    return spec(**{"trials": 40, "space": space, "sensitivity": found, **fields})


def ends(said: StudySpec, granularity: str, groups: tuple[GroupInfo, ...] = MLP) -> dict[str, Any]:
    """(low, high) by key, rounded so that they can be compared."""
    keys = SearchSpace.of(said, info(groups)).ratios[granularity]
    return {k: tuple(x if x is None else round(x, 9) for x in (found.low, found.high)) for k, found in keys.items()}


def ratios(said: StudySpec, groups: tuple[GroupInfo, ...] = MLP) -> list[tuple[str, dict[str, float] | None]]:
    found = start_policies(said, SearchSpace.of(said, info(groups)))
    return [(located.policy.granularity, located.policy.ratio) for located in found]


OWN = {"granularity": "neuron", "ratio": {"fc1": 0.5, "fc2": 0.5}, "epoch_threshold": 1}
NEURONS = {("fc1", "neuron"): SENSITIVE, ("fc2", "neuron"): NUMB}


def test_a_range_begins_at_half_of_what_costs_a_group_nothing() -> None:
    assert ends(study(NEURONS), "neuron") == {"fc1": (0, 0.95), "fc2": (0.4, 0.95)}
    assert ends(study(NEURONS), "weight") == {"fc1": (0, 0.95), "fc2": (0, 0.95)}  # not measured
    middling = study({("fc1", "neuron"): MIDDLING, ("fc2", "neuron"): NUMB}, space={"ratio": [0.15, 0.7]})
    assert ends(middling, "neuron") == {"fc1": (0.15, 0.7), "fc2": (0.35, 0.7)}


def test_after_training_it_ends_halfway_between_what_is_acceptable_and_its_own_end() -> None:
    assert ends(study(NEURONS, retrain=2), "neuron") == {"fc1": (0, 0.475), "fc2": (0.4, 0.875)}
    middling = study({("fc1", "neuron"): MIDDLING, ("fc2", "neuron"): NUMB}, space={"ratio": [0.1, 0.7]}, retrain=1)
    assert ends(middling, "neuron") == {"fc1": (0.1, 0.6), "fc2": (0.35, 0.7)}
    late = study(NEURONS, space={"ratio": [0.6, 0.9]}, retrain=1)
    assert ends(late, "neuron") == {"fc1": (0.6, 0.75), "fc2": (0.6, 0.85)}


def test_of_a_metric_that_is_minimised_a_point_is_one_per_cent_of_dense() -> None:
    dense = 2e-4
    drops = {key: tuple(dense * drop for drop in lost) for key, lost in NEURONS.items()}
    error: dict[str, Any] = {"found": {"direction": "minimize", "dense": dense}, "start": [OWN]}
    for retrain in (0, 2):
        assert ends(study(drops, retrain=retrain, **error), "neuron") == ends(study(NEURONS, retrain=retrain), "neuron")
    assert ratios(study(drops, **error)) == ratios(study(NEURONS, start=[OWN]))


def test_what_the_study_says_of_a_group_wins() -> None:
    said = study(NEURONS, space={"ratio": {"fc2": [0.1, 0.9], "default": [0.0, 0.6]}}, retrain=1)
    assert ends(said, "neuron") == {"fc1": (0, 0.3), "fc2": (0.1, 0.9)}
    assert ends(study(NEURONS, space={"ratio": {"fc*": [0.0, 0.9]}}, retrain=1), "neuron") == {"fc*": (0, 0.9)}


def test_single_values_stay_and_steps_stay_on_their_grid() -> None:
    single = {"ratio": {"default": {"choices": [0.1, 0.9]}}}
    assert ends(study(NEURONS, space=single, retrain=1), "neuron") == {"fc1": (None, None), "fc2": (None, None)}
    stepped = {"ratio": {"default": {"low": 0.0, "high": 0.9, "step": 0.3}}}
    assert ends(study(NEURONS, space=stepped, retrain=1), "neuron") == {"fc1": (0, 0.3), "fc2": (0.6, 0.6)}


def test_tied_groups_have_the_range_of_the_most_sensitive_one() -> None:
    drops = {(g.name, g.kind): NUMB for g in STAGES} | {("layer2.1.conv2", "filter"): SENSITIVE}
    found = ends(study(drops, STAGES, tie_ratios=True, retrain=1), "filter", STAGES)
    assert (found["layer2.*"], found["layer1.*"]) == ((0, 0.475), (0.4, 0.875))


def test_policies_go_as_far_as_each_group_tolerates() -> None:
    said = study({("fc1", "neuron"): MIDDLING, ("fc2", "neuron"): NUMB, ("fc1", "weight"): NUMB, ("fc2", "weight"): SENSITIVE})
    assert ratios(said.model_copy(update={"start": (OWN,)}))[1:] == [
        ("neuron", {"fc1": 0.2, "fc2": 0.8}),  # one point, and a half
        ("weight", {"fc1": 0.8, "fc2": 0.0}),
        ("neuron", {"fc1": 0.5, "fc2": 0.8}),  # five points, and two
    ]


def test_they_lie_inside_what_the_study_says() -> None:
    said = study(NEURONS, space={"ratio": {"fc1": [0.3, 0.9], "default": [0.1, 0.5]}, "granularity": "neuron"}, trials=4)
    assert ("neuron", {"fc1": 0.3, "fc2": 0.5}) in ratios(said)


def test_own_policies_and_a_sensitivity_go_together() -> None:
    found = ratios(study(NEURONS, start=[OWN]))
    assert found == [("neuron", {"fc1": 0.5, "fc2": 0.5}), ("neuron", {"fc1": 0.0, "fc2": 0.8})]


@pytest.mark.parametrize(("trials", "count"), [(1, 1), (4, 1), (8, 2), (12, 3), (40, 5)])
def test_at_most_a_quarter_of_the_trials(trials: int, count: int) -> None:
    drops = {("fc1", "neuron"): (0.003, 0.03, 0.03), ("fc1", "weight"): (0.003, 0.008, 0.03)}
    assert len(ratios(study(drops, trials=trials, start=[OWN]))) == 1 + count


def test_units_are_taken_at_their_widest() -> None:
    drops = {("fc1", "neuron"): NUMB, ("conv1", "filter"): MIDDLING}
    found = ratios(study(drops, CNN, space={"granularity": ["neuron", "filter", "unit"]}), CNN)
    assert ("unit", {"fc1": 0.8, "fc2": 0.0, "conv1": 0.2, "conv2": 0.0}) in found


def test_a_space_without_ratios_is_refused() -> None:
    said = study(NEURONS, space={"scope": "global"})
    with pytest.raises(StudyError, match="measured for neuron, and the space has no scope 'ratios'"):
        start_policies(said, SearchSpace.of(said, info()))
    said = study(NEURONS, space={"granularity": "weight"})
    with pytest.raises(StudyError, match="no scope 'ratios' for that"):
        start_policies(said, SearchSpace.of(said, info()))


def test_another_network_is_refused_before_anything_is_written(bench: Bench) -> None:
    said = study({("conv1", "filter"): NUMB}, CNN)
    with pytest.raises(StudyError, match="prunes no filter group 'conv1'"):
        open_study(bench.store, said, None, 4, info(MLP))
    assert find(bench.store, "s") is None


def test_a_resumed_study_keeps_its_sensitivity(bench: Bench) -> None:
    said = study(NEURONS)
    opened = open_study(bench.store, said, None, 40, info())
    stored = StudySpec.parse(opened.record.spec)
    assert open_study(bench.store, stored, find(bench.store, "s"), 40, info()).starts == opened.starts
    other = study({("fc1", "neuron"): NUMB})
    for changed in (spec(trials=40, space=said.to_dict()["space"]), other):
        with pytest.raises(
            StudyError, match=r"sensitivity: was 2 groups of t \(\w{8}\), is now (not given|1 groups of t \(\w{8}\))"
        ):
            refuse_changes(said, changed)


FRACTION = st.floats(0, 0.94)


@given(
    st.dictionaries(
        st.sampled_from([("fc1", "neuron"), ("fc2", "neuron"), ("fc1", "weight"), ("conv1", "filter"), ("conv2", "filter")]),
        st.tuples(*[st.none() | st.floats(-0.05, 0.5)] * 3),
        min_size=1,
    ),
    st.dictionaries(st.sampled_from(["fc1", "conv*", "default"]), st.tuples(FRACTION, FRACTION).map(sorted)),
    st.sampled_from([0, 1, 2, 10]),
    st.booleans(),
    st.sampled_from([0, 3]),
)
def test_every_policy_is_valid_and_lies_in_the_narrowed_space(
    drops: dict[Any, Any], ranges: dict[str, list[float]], epochs: int, tied: bool, retrain: int
) -> None:
    said = study(drops, CNN, space={"ratio": ranges} if ranges else {}, epochs=epochs, tie_ratios=tied, retrain=retrain)
    space = SearchSpace.of(said, info(CNN))
    plain = SearchSpace.of(said.model_copy(update={"sensitivity": None}), info(CNN))
    for granularity, keys in space.ratios.items():
        for key, found in keys.items():
            own = plain.ratios[granularity][key]
            assert found.low is not None and found.high is not None and own.low is not None and own.high is not None
            assert own.low <= found.low <= found.high <= own.high
    for located in start_policies(said, space):
        assert space.params(located.policy) == located.params
        for key, ratio in (located.policy.ratio or {}).items():
            reach = space.ratios[located.policy.granularity][key]
            assert reach.low is not None and reach.high is not None and reach.low <= ratio <= reach.high

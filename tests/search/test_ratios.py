"""Scope `ratios`: one parameter per key, ties, names that mean nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunesearch.errors import StudyError
from prunesearch.fitting import chosen_groups, of_granularity
from prunesearch.policy import Policy
from prunesearch.rules import ratio_of
from prunesearch.search.ratios import stage_keys
from prunesearch.search.space import SearchSpace
from tests.search.parts import CNN, MLP, STAGES, group, info, spec
from tests.search.test_space import draws

ONLY_RATIOS = {"schedule_type": "magnitude_percentage", "scope": "ratios", "granularity": "filter"}


def keys(space: SearchSpace) -> set[str]:
    return {name.removeprefix("ratio.") for params, _ in draws(space, 10) for name in params if name.startswith("ratio.")}


def test_one_parameter_per_group() -> None:
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {"granularity": "weight"}, trials=30), info(MLP))
    assert keys(space) == {"fc1", "fc2"}
    assert set(draws(space, 1)[0][1].ratio or {}) == {"fc1", "fc2"}


def test_a_glob_is_one_parameter_and_default_is_the_range_of_the_rest() -> None:
    ratio = {"layer[12].*": [0.1, 0.2], "default": [0.8, 0.9], "layer3.2.conv2": 0.5}
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {"ratio": ratio}, trials=300), info(STAGES))
    rest = {"conv1", *(f"layer3.{b}.conv{c}" for b in (0, 1, 2) for c in (1, 2))} - {"layer3.2.conv2"}
    assert keys(space) == {"layer[12].*", *rest}
    for params, policy in draws(space, 30):
        assert policy.ratio is not None
        assert 0.1 <= policy.ratio["layer[12].*"] <= 0.2
        assert policy.ratio["layer3.2.conv2"] == 0.5
        assert all(0.8 <= policy.ratio[name] <= 0.9 for name in rest)
        assert space.params(policy) == params


def test_many_ratios_are_tied_per_stage_unless_told_otherwise() -> None:
    tied = {"conv1", "layer1.*", "layer2.*", "layer3.*"}
    assert keys(SearchSpace.of(spec(space=ONLY_RATIOS, trials=30), info(STAGES))) == tied
    assert keys(SearchSpace.of(spec(space=ONLY_RATIOS, trials=300, tie_ratios=True), info(STAGES))) == tied
    assert len(keys(SearchSpace.of(spec(space=ONLY_RATIOS, trials=30, tie_ratios=False), info(STAGES)))) == 19
    assert len(keys(SearchSpace.of(spec(space=ONLY_RATIOS, trials=57), info(STAGES)))) == 19  # 57 / 3 are enough


def test_a_glob_of_the_study_goes_before_a_longer_one_of_a_stage() -> None:
    ratio = {"*.conv1": [0.1, 0.2], "layer2.*": [0.3, 0.4], "default": [0.8, 0.9]}
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {"ratio": ratio}, tie_ratios=True), info(STAGES))
    for params, policy in draws(space, 5):
        ratios = {g.name: ratio_of(g.name, policy.ratio or {}) for g in space.groups("filter")}
        assert all(0.1 <= ratios[f"layer{s}.{b}.conv1"] <= 0.2 for s in (1, 3) for b in (0, 1, 2))
        assert all(0.8 <= ratios[f"layer{s}.{b}.conv2"] <= 0.9 for s in (1, 3) for b in (0, 1, 2))
        assert space.params(policy) == params


@pytest.mark.parametrize(
    ("names", "stages"),
    [
        (["fc1", "fc2"], {"fc1", "fc2"}),
        (["features.0", "features.3", "features.6", "classifier"], {"features.*", "classifier"}),
        ([f"blocks.{b}.{p}" for b in range(4) for p in ("q", "k")], {"blocks.0.*", "blocks.1.*", "blocks.2.*", "blocks.3.*"}),
        (["net.layer1.0", "net.layer1.1", "net.layer2.0"], {"net.layer1.*", "net.layer2.*"}),
        (["features.0", "features.3"], {"features.*"}),
        (["a.b.c"], {"a.*"}),
        ([], set()),
    ],
)
def test_stages_are_the_shortest_common_names_that_tell_some_apart(names: list[str], stages: set[str]) -> None:
    assert set(stage_keys(names).values()) == stages


def test_a_name_goes_before_a_glob_and_a_long_glob_before_a_short_one() -> None:
    ratio = {"layer[12345].0.conv1": 0.1, "layer1.0.conv1": 0.2, "layer*": 0.3, "layer2*": 0.4, "conv1": 0.5}
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {"ratio": ratio}, trials=300), info(STAGES))
    assert draws(space, 1)[0][1].ratio == ratio
    assert keys(space) == set()
    policy = Policy.parse(draws(space, 1)[0][1].to_dict() | {"ratio": {"layer1.0.conv1": 0.2, "default": 0.3}})
    with pytest.raises(StudyError) as caught:
        space.params(policy)
    assert "ratio.layer1.0.conv1" not in str(caught.value)
    assert "ratio.layer[12345].0.conv1: the space has only 0.1, got 0.3" in str(caught.value)


def test_unknown_groups_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(StudyError) as caught:
        SearchSpace.of(spec(space={"ratio": {"fc9": [0, 0.5], "conv*": 0.5, "fc3": 0.5}, "spare": ["fc7"]}), info(MLP))
    assert "space.ratio.fc9: no group is called so; did you mean 'fc" in str(caught.value)
    assert "space.ratio.conv*: no group" in str(caught.value)
    assert "space.ratio.fc3: is never pruned (it is the output layer)" in str(caught.value)
    assert "space.spare: fc7" in str(caught.value)


def test_spared_groups_have_no_ratio_and_globs_go_only_where_they_mean_something() -> None:
    said = {"scope": "ratios", "schedule_type": "magnitude_percentage", "spare": ["conv1", "fc1"]}
    space = SearchSpace.of(spec(space=said, trials=300), info(CNN))
    for _, policy in draws(space, 80):
        has = {g.name for g in of_granularity(info(CNN).groups, policy.granularity)}
        assert set(policy.spare) == {"conv1", "fc1"} & has
        assert not {"conv1", "fc1"} & set(policy.ratio or {})


@pytest.mark.parametrize(("said", "left"), [("spare", "conv2"), ("only", "conv1")])
def test_a_layer_of_a_residual_sum_means_its_group(said: str, left: str) -> None:
    summed = replace(group("conv1", "filter"), layers=("conv1", "block.conv2"))
    task = info((summed, group("conv2", "filter"), group("block.conv2", "weight")))
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {said: ["block.*"]}), task)
    for params, policy in draws(space, 5):
        assert getattr(policy, said) == ("block.*",) and set(policy.ratio or {}) == {left}
        assert [g.name for g in chosen_groups(task.groups, policy)] == [left]
        assert space.params(policy) == params


OUTPUT = info((group("fc1", "weight", 300), group("fc1", "neuron", 30), replace(MLP[2], output=True)))
WEIGHTS = ONLY_RATIOS | {"granularity": "weight"}


def test_the_output_layer_has_a_ratio_where_it_is_pruned() -> None:
    ratio = {"fc3": [0.2, 0.5]}
    always = SearchSpace.of(spec(space=WEIGHTS | {"prune_output_layer": True, "ratio": ratio}), OUTPUT)
    assert all(0.2 <= (policy.ratio or {})["fc3"] <= 0.5 for _, policy in draws(always, 5))
    with pytest.raises(StudyError, match=r"space.ratio.fc3: is never pruned \(it is the output layer\)"):
        SearchSpace.of(spec(space=WEIGHTS | {"ratio": ratio}), OUTPUT)


def test_a_searched_output_layer_has_a_ratio_only_in_policies_that_prune_it() -> None:
    space = SearchSpace.of(spec(space=WEIGHTS | {"prune_output_layer": [True, False], "criterion": "l1"}, trials=30), OUTPUT)
    found = draws(space, 20)
    assert {policy.prune_output_layer for _, policy in found} == {True, False}
    for params, policy in found:
        assert set(policy.ratio or {}) == {"fc1", *(["fc3"] if policy.prune_output_layer else [])}
        assert [g.name for g in chosen_groups(OUTPUT.groups, policy)] == list(policy.ratio or {})
        assert space.params(policy) == params
    assert space.dimensions() == max(len(params) for params, _ in found)
    with pytest.raises(StudyError, match="the space allows no policy"):
        SearchSpace.of(spec(space=WEIGHTS | {"prune_output_layer": [True, False], "only": ["fc3"]}), OUTPUT)


def test_a_tied_output_layer_shares_the_ratio_of_its_stage() -> None:
    groups = tuple(replace(g, name=f"net.{g.name}") for g in OUTPUT.groups)
    said = WEIGHTS | {"prune_output_layer": [True, False]}
    space = SearchSpace.of(spec(space=said, tie_ratios=True), info(groups))
    for params, policy in draws(space, 10):
        assert set(policy.ratio or {}) == {"net.*"}
        assert space.params(policy) == params
    alone = Policy.parse({"epochs": 10, "scope": "ratios", "ratio": {"net.fc1": 0.5}, "epoch_threshold": 1})
    assert space.locate(alone).policy.ratio == {"net.*": 0.5}


def test_a_policy_written_with_a_default_has_a_place() -> None:
    space = SearchSpace.of(spec(space=ONLY_RATIOS | {"ratio": {"conv1": [0.2, 0.4]}}, trials=30), info(STAGES))
    ratio = {"default": 0.6, "conv1": 0.3}
    policy = Policy.parse({"epochs": 10, "granularity": "filter", "scope": "ratios", "ratio": ratio, "epoch_threshold": 1})
    located = space.locate(policy)
    assert located.policy.ratio == {"conv1": 0.3, "layer1.*": 0.6, "layer2.*": 0.6, "layer3.*": 0.6}
    uneven = Policy.parse({**policy.to_dict(), "ratio": {**ratio, "layer1.0.conv1": 0.1}})
    with pytest.raises(StudyError, match=r"ratio.layer1.\*: the space reaches from 0 to 0.95, got nothing"):
        space.params(uneven)

"""Policies as Optuna parameters: always valid, there and back, asked only where there is a choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from prunesearch import rules
from prunesearch.errors import StudyError
from prunesearch.policy import Policy
from prunesearch.results import TaskInfo
from prunesearch.search.branches import WORDS
from prunesearch.search.space import ORDER, SearchSpace, branched
from tests.search.parts import CNN, MLP, STAGES, info, spec

PARAMETERS = {
    *("schedule_type", "function", "granularity", "criterion", "scope", "recovery", "lr_restart", "ramp", "threshold"),
    *("weight_threshold", "threshold_step", "eps", "initial_learning_rate", "epoch_threshold", "converge_over", "prune_iter"),
    *("rewind_to", "recovery_epochs"),
}
Drawn = list[tuple[dict[str, Any], Policy]]


def draws(
    space: SearchSpace, count: int, seed: int = 0, sampler: BaseSampler | None = None
) -> list[tuple[dict[str, Any], Policy]]:
    """Parameters and policies of trials in one Optuna study, told made-up values."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler or RandomSampler(seed=seed))
    out = []
    for _ in range(count):
        trial = study.ask()
        policy = space.suggest(trial)
        out.append((dict(trial.params), policy))
        study.tell(trial, [hash(policy.digest) % 97, len(trial.params)])
    return out


NETWORKS = {"mlp": info(MLP), "cnn": info(CNN), "stages": info(STAGES, norms=True), "pretrained": info(CNN, weights_given=True)}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("epochs", [0, 1, 2, 3, 4, 10, 50])
def test_all_that_is_drawn_is_valid_and_goes_there_and_back(network: TaskInfo, epochs: int) -> None:
    space = SearchSpace.of(spec(epochs=epochs), network)
    for params, policy in draws(space, 60, seed=epochs):
        assert Policy.parse(policy.to_dict()) == policy
        located = space.locate(policy)
        assert located.params == params
        assert located.policy == policy
        assert policy.epochs == epochs


@pytest.mark.parametrize("multivariate", [False, True])
def test_tpe_can_learn_from_all_of_it(multivariate: bool) -> None:
    sampler = TPESampler(seed=1, n_startup_trials=5, multivariate=multivariate, group=multivariate)
    found = draws(SearchSpace.of(spec(trials=200), info(CNN)), 60, sampler=sampler)
    assert len({policy.digest for _, policy in found}) > 40


def test_names_are_the_documented_ones() -> None:
    space = SearchSpace.of(spec(trials=300), info(CNN))
    fields = {name.split(".")[0] for params, _ in draws(space, 400) for name in params}
    assert fields == PARAMETERS | {"ratio"}


def test_the_order_is_that_of_the_rules() -> None:
    assert set(ORDER) | {"epochs", "spare", "only", "ratio"} == {*rules.ALWAYS, *PARAMETERS, "threshold_max", "last_cut", "ratio"}


def test_a_word_has_the_same_choices_under_one_name() -> None:
    space = SearchSpace.of(spec(trials=300, space={"criterion": ["l1", "l2", "linf", "random", "taylor"]}), info(CNN))
    for branch in space.branches:
        for name in WORDS:
            if name in branch:
                assert branch[name] in space.full[branched(name, branch)]
    assert space.full["function.magnitude_threshold"] == ("one_shot", "one_shot_static", "gradual")
    assert space.full["criterion.weight"] == ("l1", "random", "taylor")
    assert space.full["criterion.units"] == ("l1", "l2", "linf", "random", "taylor")
    assert space.full["criterion.units.bound"] == ("l1", "l2", "linf")
    assert "criterion.weight.bound" not in {n for params, _ in draws(space, 100) for n in params}  # l1 alone is no choice


def test_what_a_branch_does_not_use_is_absent() -> None:
    for params, policy in draws(SearchSpace.of(spec(trials=300), info(MLP)), 200):
        fields = {name.split(".")[0] for name in params}
        assert fields <= set(policy.present())
        if policy.schedule_type == "rewind_pruning":
            assert not fields & {"function", "recovery", "lr_restart", "weight_threshold"}
        if policy.function == "one_shot":
            assert not fields & {"recovery", "lr_restart", "converge_over"}


def test_default_ranges_leave_training_after_the_last_cut_and_nothing_that_is_simpler_said_otherwise() -> None:
    for _, policy in draws(SearchSpace.of(spec(trials=300), info(MLP)), 300):
        fields = policy.present()
        assert policy.epoch_threshold < 10
        if policy.function in ("gradual", "iterative"):
            assert rules.last_cut_epoch(fields) < 10
            assert policy.canonical().function == policy.function
        if policy.schedule_type == "rewind_pruning":
            assert policy.epoch_threshold >= rules.scratch_start(10)


def test_given_weights_may_be_cut_at_once() -> None:
    space = {"schedule_type": "rewind_pruning", "epoch_threshold": {"choices": [0]}}
    assert draws(SearchSpace.of(spec(space=space), info(weights_given=True)), 1)[0][1].epoch_threshold == 0
    with pytest.raises(StudyError, match="epoch_threshold: rewind_pruning"):
        SearchSpace.of(spec(space=space), info())


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "fixed word": ({"schedule_type": "magnitude_threshold"}, lambda p: p.schedule_type == "magnitude_threshold"),
    "narrowed words": ({"function": ["gradual", "iterative"]}, lambda p: p.function in ("gradual", "iterative", None)),
    "narrowed range": ({"threshold": [0.5, 0.6]}, lambda p: p.threshold is None or 0.5 <= p.threshold <= 0.6),
    "fixed number": ({"threshold": 0.7}, lambda p: p.threshold in (None, 0.7)),
    "single numbers": ({"threshold": {"choices": [0.5, 0.9]}}, lambda p: p.threshold in (None, 0.5, 0.9)),
    "ramp at least 4": ({"converge_over": [4, 8]}, lambda p: p.converge_over is None or 4 <= p.converge_over <= 8),
    "ramps of 3 or 7": ({"converge_over": {"choices": [3, 7]}}, lambda p: p.converge_over in (None, 3, 7)),
    "starts of 0 or 8": ({"epoch_threshold": {"choices": [0, 8]}}, lambda p: p.epoch_threshold in (0, 8)),
    "late start": ({"epoch_threshold": [6, 10]}, lambda p: 6 <= p.epoch_threshold <= 10),
    "rounds of 5": ({"prune_iter": 5}, lambda p: p.prune_iter in (None, 5)),
    "rounds to the end": ({"last_cut": "at_end", "function": "iterative"}, lambda p: p.last_cut in (None, "at_end")),
    "stepped": ({"converge_over": {"low": 2, "high": 8, "step": 3}}, lambda p: p.converge_over in (None, 2, 5, 8)),
    "rewind to 3": ({"recovery": "rewind_weights", "rewind_to": [3, 5]}, lambda p: p.rewind_to is None or 3 <= p.rewind_to <= 5),
    "highest level": ({"threshold_max": [0.6, 0.9]}, lambda p: p.threshold_max is None or 0.6 <= p.threshold_max <= 0.9),
    "rounded": ({"round_to": 8}, lambda p: p.round_to == (8 if p.is_unit else 1)),
    "bias": ({"prune_bias": True}, lambda p: p.prune_bias == (p.granularity == "weight")),
    "always restart": ({"lr_restart": True}, lambda p: p.lr_restart),
    "never restart": ({"lr_restart": False}, lambda p: not p.lr_restart),
    "linear": ({"ramp": "linear"}, lambda p: p.ramp in (None, "linear")),
    "long recovery": ({"recovery_epochs": [4, 6]}, lambda p: p.recovery_epochs is None or 4 <= p.recovery_epochs <= 6),
    "only ratios": ({"scope": "ratios"}, lambda p: p.scope in (None, "ratios")),
}


@pytest.mark.parametrize(("space", "holds"), CASES.values(), ids=CASES)
def test_what_the_study_says_is_kept_to(space: dict[str, Any], holds: Any) -> None:
    built = SearchSpace.of(spec(space=space, trials=300), info(MLP if "round_to" not in space else (*MLP[:4],)))
    for params, policy in draws(built, 120):
        assert holds(policy), policy
        assert built.params(policy) == params


WORD_LISTS: dict[str, list[Any]] = {
    "schedule_type": ["magnitude_percentage", "magnitude_threshold", "rewind_pruning"],
    "function": ["one_shot", "one_shot_static", "gradual", "iterative"],
    "granularity": ["weight", "neuron", "filter", "unit"],
    "criterion": ["l1", "l2", "linf", "random", "taylor", "snip", "bn_scale", "lamp", "fpgm"],
    "scope": ["layer", "global", "ratios"],
    "recovery": ["keep", "reinit", "rewind_weights"],
    "lr_restart": [True, False],
    "ramp": ["linear", "cubic"],
    "last_cut": ["trained", "at_end"],
}
RANGES = {"epoch_threshold": 12, "converge_over": 12, "prune_iter": 6, "rewind_to": 8, "recovery_epochs": 8}


def _numbers(top: int) -> st.SearchStrategy[Any]:
    one = st.integers(1, top)
    pair = st.lists(one, min_size=2, max_size=2).map(sorted)
    several = st.lists(one, min_size=1, max_size=3, unique=True).map(lambda found: {"choices": found})
    return st.one_of(one, pair, several)


words = {name: st.lists(st.sampled_from(listed), min_size=1, unique=True) for name, listed in WORD_LISTS.items()}
spaces = st.fixed_dictionaries({}, optional={**words, **{name: _numbers(top) for name, top in RANGES.items()}})


@given(said=spaces, epochs=st.integers(0, 12), norms=st.booleans(), weights_given=st.booleans())
def test_any_space_allows_valid_policies_or_says_why_not(
    said: dict[str, Any], epochs: int, norms: bool, weights_given: bool
) -> None:
    network = info(CNN, norms=norms, weights_given=weights_given)
    try:
        space = SearchSpace.of(spec(space=said, epochs=epochs), network)
    except StudyError as error:
        problem = str(error)
    else:
        problem = ""
    if problem:
        assert problem.startswith("the space allows no policy: ")
        return
    for params, policy in draws(space, 8):
        assert space.params(policy) == params
        for name, listed in said.items():
            value = getattr(policy, name)
            if name in WORD_LISTS and value is not None and name not in ("criterion", "lr_restart"):
                assert value in listed


def test_only_granularities_that_the_model_has() -> None:
    space = SearchSpace.of(spec(space={"granularity": ["weight", "filter", "unit"]}), info(MLP))
    assert {p.granularity for _, p in draws(space, 40)} == {"weight"}
    assert space.notes == (
        "granularity 'filter' is left out: the model has weight, neuron",
        "granularity 'unit' is left out: the model has weight, neuron",
    )
    assert {p.granularity for _, p in draws(SearchSpace.of(spec(), info(CNN)), 80)} == {"weight", "neuron", "filter", "unit"}


def test_criteria_whose_needs_are_not_met_are_left_out() -> None:
    said = spec(space={"criterion": ["l1", "bn_scale"], "granularity": "filter"})
    assert {p.criterion for _, p in draws(SearchSpace.of(said, info(CNN)), 30)} == {"l1"}
    assert SearchSpace.of(said, info(CNN)).notes == (
        "criterion 'bn_scale' is left out for filter: it needs a norm behind every unit",
    )
    assert {p.criterion for _, p in draws(SearchSpace.of(said, info(CNN, norms=True)), 30)} == {"l1", "bn_scale"}
    half = replace(info(CNN), groups=tuple(replace(g, norm=g.name == "conv1") for g in info(CNN).groups))
    assert {p.criterion for _, p in draws(SearchSpace.of(said, half), 30)} == {"l1"}
    spared = spec(space={"criterion": ["l1", "bn_scale"], "granularity": "filter", "spare": "conv2"})
    assert {p.criterion for _, p in draws(SearchSpace.of(spared, half), 30)} == {"l1", "bn_scale"}


def test_lamp_is_another_criterion_only_where_layers_compete() -> None:
    within = {"granularity": "weight", "schedule_type": "magnitude_percentage", "criterion": ["lamp", "l1"]}
    assert {p.criterion for _, p in draws(SearchSpace.of(spec(space=within | {"scope": "layer"}), info()), 20)} == {"lamp"}
    assert {p.criterion for _, p in draws(SearchSpace.of(spec(space=within), info()), 20)} == {"lamp", "l1"}


def test_equal_criteria_are_one_in_all_schedule_types() -> None:
    said = {"schedule_type": ["magnitude_percentage", "rewind_pruning"], "granularity": "weight", "scope": "layer"}
    space = SearchSpace.of(spec(space=said | {"criterion": ["l1", "lamp", "random"]}), info())
    assert {p.criterion for _, p in draws(space, 40)} == {"l1", "random"}


PERCENTAGE = {"schedule_type": "magnitude_percentage"}
ONE_SHOT, RAMP = {**PERCENTAGE, "function": "one_shot"}, {**PERCENTAGE, "function": "gradual"}
NOTHING: dict[str, tuple[dict[str, Any], str]] = {
    "no such units": ({"granularity": "filter"}, "granularity: the study says filter; the model has weight, neuron"),
    "criterion for nobody": ({"criterion": "bn_scale"}, "criterion: .* takes .*, the study says bn_scale"),
    "recovery of none": ({**ONE_SHOT, "recovery": "reinit"}, "recovery: .*takes keep"),
    "no room": ({**RAMP, "converge_over": [11, 12]}, "epoch_threshold: .*leaves nothing"),
    "beyond the end": ({"epoch_threshold": 11}, "one_shot leaves 0 to 10 with 10 epochs, the study says 11"),
    "all spared": ({"spare": ["fc*"]}, "granularity: the study says"),
    "too wide": ({"round_to": 16, "granularity": "neuron"}, "round_to: .* 1 to 10"),
}


@pytest.mark.parametrize(("space", "told"), NOTHING.values(), ids=NOTHING)
def test_a_space_that_allows_nothing_says_why(space: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=rf"(?s)the space allows no policy: .*{told}"):
        SearchSpace.of(spec(space=space), info(MLP))


def test_whole_numbers_are_whole() -> None:
    with pytest.raises(StudyError, match=r"space.prune_iter: takes whole numbers, got 2.5"):
        SearchSpace.of(spec(space={"prune_iter": [2.5, 4]}), info())


def test_where_a_policy_is_not_in_the_space_all_is_told() -> None:
    space = SearchSpace.of(spec(space={"threshold": [0.5, 0.6], "scope": "layer", "only": ["fc1"]}), info())
    policy = Policy.parse({"epochs": 9, "threshold": 0.9, "scope": "global", "epoch_threshold": 2, "granularity": "neuron"})
    with pytest.raises(StudyError) as caught:
        space.params(policy)
    for told in ("epochs: the study has 10, got 9", "scope: ", "threshold: the space reaches from 0.5 to 0.6", "only: "):
        assert told in str(caught.value)


def test_equal_criteria_are_one_place() -> None:
    space = SearchSpace.of(spec(space={"criterion": ["l1", "random"], "granularity": "weight"}), info())
    written = Policy.parse({"epochs": 10, "criterion": "linf", "threshold": 0.5, "epoch_threshold": 3})
    located = space.locate(written)
    assert located.params["criterion.weight"] == "l1"
    assert located.policy.digest == written.digest


def test_dimensions_count_the_longest_branch() -> None:
    said = {"schedule_type": "magnitude_percentage", "function": "one_shot", "granularity": "weight", "scope": "layer"}
    assert SearchSpace.of(spec(space=said | {"criterion": "l1"}), info()).dimensions() == 2  # threshold, epoch_threshold
    assert SearchSpace.of(spec(space=said | {"scope": "ratios", "criterion": ["l1", "random"]}), info()).dimensions() == 4

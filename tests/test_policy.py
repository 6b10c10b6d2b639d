from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch import rules, yamlfile
from prunesearch.errors import PolicyError
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.policy import Policy


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any valid policy: every branch of the table of what goes with what."""
    fields: dict[str, Any] = {"epochs": draw(st.integers(1, 12))}
    for name in ("schedule_type", "function", "granularity", "criterion", "scope"):
        words = rules.choices(name, fields)
        if words:
            fields[name] = draw(st.sampled_from(words))
    for name in ("epoch_threshold", "converge_over", "prune_iter", "recovery_epochs"):
        if name in rules.used(fields):
            low, high = rules.bounds(name, fields)
            fields[name] = draw(st.integers(low, high))
    fields["recovery"] = draw(st.sampled_from(rules.choices("recovery", fields)))
    if fields["recovery"] == "rewind_weights":
        fields["rewind_to"] = draw(st.integers(*rules.bounds("rewind_to", fields)))
    fields["lr_restart"] = draw(st.sampled_from(rules.choices("lr_restart", fields)))
    if fields.get("scope") == "ratios":
        fields["ratio"] = draw(
            st.dictionaries(st.sampled_from(["fc1", "fc2", "default", "conv*"]), st.floats(0, 0.95), min_size=1)
        )
    elif "threshold" in rules.used(fields):
        fields["threshold"] = draw(st.floats(0, 0.98))
    return Policy.model_validate(fields)


@given(policies())
def test_yaml_and_json_bring_back_an_equal_policy(policy: Policy) -> None:
    assert Policy.parse(yamlfile.parse(policy.to_yaml(), "policy")) == policy
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


@given(policies())
def test_canonical_form_is_a_fixed_point_with_the_same_digest(policy: Policy) -> None:
    canonical = policy.canonical()
    assert canonical.canonical() == canonical
    assert canonical.digest == policy.digest


@given(policies())
def test_a_policy_holds_just_the_fields_of_its_branch(policy: Policy) -> None:
    fields = policy.present()
    assert set(fields) == set(rules.used(fields))


@given(policies(), st.integers(0, 30))
def test_rescaled_policies_are_valid(policy: Policy, epochs: int) -> None:
    assert policy.rescaled(epochs).epochs == epochs


def _policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 10, **fields})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"criterion": "l2"}, {"criterion": "l1"}),
        ({"criterion": "linf", "scope": "global"}, {"criterion": "l1", "scope": "global"}),
        ({"criterion": "lamp", "scope": "layer"}, {"criterion": "l1"}),
        ({"function": "gradual", "converge_over": 0, "epoch_threshold": 3}, {"epoch_threshold": 3}),
        ({"function": "gradual", "converge_over": 1, "epoch_threshold": 3}, {"epoch_threshold": 4}),
        ({"function": "iterative", "prune_iter": 1, "epoch_threshold": 3}, {"epoch_threshold": 3}),
        ({"function": "iterative", "prune_iter": 1, "last_cut": "at_end"}, {"epoch_threshold": 10}),
        ({"function": "one_shot", "epoch_threshold": 10}, {"epoch_threshold": 10}),
        ({"spare": ["b", "a", "a"]}, {"spare": ["a", "b"]}),
        ({"scope": "ratios", "ratio": {"b": 0.1, "a": 0.2}}, {"scope": "ratios", "ratio": {"a": 0.2, "b": 0.1}}),
    ],
)
def test_policies_with_equal_orders_have_one_digest(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert _policy(**one).digest == _policy(**other).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"threshold": 0.5}, {"threshold": 0.50001}),
        ({"granularity": "neuron", "criterion": "l2"}, {"granularity": "neuron", "criterion": "l1"}),
        ({"criterion": "lamp", "scope": "global"}, {"criterion": "l1", "scope": "global"}),
        ({"function": "gradual", "converge_over": 2}, {"function": "gradual", "converge_over": 3}),
        ({"function": "one_shot"}, {"function": "one_shot_static"}),
        ({"epochs": 10}, {"epochs": 11}),
    ],
)
def test_policies_with_different_orders_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert _policy(**one).digest != _policy(**other).digest


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"threshold": -0.1}, "threshold: must be greater than or equal to 0"),
    ({"threshold": 1.0}, "threshold: must be less than 1"),
    ({"threshold": float("nan")}, "threshold: must be a finite number"),
    ({"criterion": "tailor"}, "did you mean 'taylor'?"),
    ({"criterion": "lamp", "granularity": "neuron"}, "criterion: 'lamp' does not go with granularity 'neuron'"),
    ({"criterion": "bn_scale"}, "criterion: 'bn_scale' does not go with granularity 'weight'"),
    ({"function": "one_shot", "recovery": "reinit"}, "recovery: 'reinit' does not go with one_shot; it takes keep"),
    ({"function": "one_shot", "lr_restart": True}, "lr_restart: 'true' does not go with one_shot"),
    ({"recovery": "reinit", "lr_restart": False}, "lr_restart: 'false' does not go with one_shot_static with recovery 'reinit'"),
    (
        {"schedule_type": "rewind_pruning", "scope": "ratios"},
        "scope: 'ratios' does not go with rewind_pruning; it takes layer, global",
    ),
    ({"schedule_type": "rewind_pruning", "function": "gradual"}, "function: not used by rewind_pruning"),
    (
        {"schedule_type": "magnitude_threshold", "function": "iterative"},
        "function: 'iterative' does not go with magnitude_threshold",
    ),
    ({"schedule_type": "magnitude_threshold", "scope": "layer"}, "scope: not used by magnitude_threshold"),
    ({"schedule_type": "magnitude_threshold", "threshold": 0.5}, "threshold: not used"),
    ({"prune_iter": 3}, "prune_iter: not used by one_shot_static"),
    (
        {"function": "gradual", "epoch_threshold": 6, "converge_over": 5},
        "epoch_threshold + converge_over = 11 lies beyond the 10 epochs",
    ),
    ({"function": "iterative", "epoch_threshold": 6, "prune_iter": 5}, "prune_iter: must be between 1 and 4"),
    ({"epoch_threshold": 11}, "epoch_threshold: must be between 0 and 10"),
    ({"recovery": "rewind_weights", "epoch_threshold": 2, "rewind_to": 3}, "rewind_to: must be between 0 and 2"),
    ({"scope": "ratios"}, "ratio: scope 'ratios' needs a fraction per group"),
    ({"scope": "ratios", "ratio": {"fc1": 1.0}}, "ratio.fc1: must be at least 0 and below 1, got 1.0"),
    ({"scope": "layer", "ratio": {"fc1": 0.5}}, "ratio: not used with scope 'layer'"),
    ({"granularity": "neuron", "prune_bias": True}, "prune_bias: a unit's bias always goes with it"),
    ({"round_to": 8}, "round_to: rounds widths"),
    ({"schedule_type": "rewind_pruning", "threshold": 0.9, "threshold_max": 0.8}, "threshold_max: must be at least threshold"),
    ({"treshold": 0.5}, "treshold: unknown field; did you mean 'threshold'?"),
]


@pytest.mark.parametrize(("fields", "told"), REFUSED, ids=[told[:40] for _, told in REFUSED])
def test_what_does_not_go_together_is_refused_in_words(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _policy(**fields)
    assert told in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        _policy(threshold=1.5, function="gradual", epoch_threshold=5, converge_over=9, prune_iter=3, epsilon=1)
    told = str(caught.value)
    assert all(f"- {name}: " in told for name in ("threshold", "converge_over", "prune_iter", "epsilon"))


@pytest.mark.parametrize(
    "content", ["", "- 1\n- 2\n", "just words", "epochs: [1\n", "epochs: !!python/object/apply:os.system ['true']"]
)
def test_files_that_are_no_policy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(content)
    with pytest.raises(PolicyError, match=r"p\.yaml"):
        Policy.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="No such file"):
        Policy.load(tmp_path / "absent.yaml")


def test_yaml_1_2_numbers(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("epochs: 8\nschedule_type: rewind_pruning\neps: 1e-3\n")
    assert Policy.load(path).eps == 1e-3


def test_every_field_has_its_hyperparameter() -> None:
    assert set(Policy.model_fields) == set(HYPERPARAMETERS)
    assert all(Policy.model_fields[name].description == h.help for name, h in HYPERPARAMETERS.items())


def test_policies_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _policy().threshold = 0.9  # type: ignore[misc]

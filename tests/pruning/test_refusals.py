"""What cannot be meant is refused where it is said, with what to do: policies when read, the rest before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from prunesearch.api.running import run
from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import NETWORKS

PARSED: list[tuple[dict[str, Any], str]] = [
    ({"threshold": -0.1}, "threshold: must be greater than or equal to 0, got -0.1"),
    ({"threshold": 1.5}, "threshold: must be less than 1, got 1.5"),
    ({"threshold": 1}, "threshold: must be less than 1, got 1"),
    ({"scope": "ratios", "ratio": {"fc1": 1.2, "fc2": -0.5}}, "ratio.fc2: must be at least 0 and below 1, got -0.5"),
    ({"criterion": "tailor"}, "criterion: 'tailor' is unknown; did you mean 'taylor'?"),
    ({"criterion": "fpgm"}, "criterion: 'fpgm' does not go with granularity 'weight'"),
    (
        {"schedule_type": "magnitude_threshold", "function": "iterative"},
        "function: 'iterative' does not go with magnitude_threshold",
    ),
    ({"function": "one_shot", "recovery": "reinit"}, "recovery: 'reinit' does not go with one_shot; it takes keep"),
    (
        {"schedule_type": "rewind_pruning", "scope": "ratios", "ratio": {"default": 0.5}},
        "scope: 'ratios' does not go with rewind_pruning",
    ),
    ({"recovery": "rewind_weights", "epoch_threshold": 1, "rewind_to": 2}, "rewind_to: must be between 0 and 1"),
    ({"round_to": 8}, "round_to: rounds widths, so it needs granularity 'neuron', 'filter' or 'unit'"),
    ({"granularity": "neuron", "prune_bias": True}, "prune_bias: a unit's bias always goes with it"),
    ({"thresold": 0.5}, "thresold: unknown field; did you mean 'threshold'?"),
]


@pytest.mark.parametrize(("fields", "message"), PARSED, ids=[m.split(":")[0] + str(i) for i, (_, m) in enumerate(PARSED)])
def test_a_policy_that_cannot_be_meant_is_not_read(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        Policy.parse({"epochs": 4, **fields})
    assert message in str(refused.value)


SESSION: list[tuple[dict[str, Any], str]] = [
    ({"criterion": "taylor"}, "criterion 'taylor': needs training data, and there is none"),
    (
        {"granularity": "neuron", "criterion": "bn_scale"},
        "criterion: 'bn_scale' needs a norm behind every unit, and there is none behind 0, 2",
    ),
    ({"granularity": "neuron", "round_to": 8}, "round_to: 8 is more than the width of 2 (7)"),
    ({"spare": ["fc9"]}, "spare: 'fc9' matches no group"),
    ({"only": ["conv*"]}, "only: 'conv*' matches no group"),
    ({"scope": "ratios", "ratio": {"7": 0.5}}, "ratio: '7' matches no group"),
    ({"granularity": "filter"}, "granularity 'filter': nothing is left to prune; the network has no such group"),
]


@pytest.mark.parametrize(("fields", "message"), SESSION, ids=[m for _, m in SESSION])
def test_what_does_not_fit_the_network_makes_no_session(fields: dict[str, Any], message: str) -> None:
    network = NETWORKS["mlp"]
    with pytest.raises(PolicyError) as refused:
        PruningSession(network.make(), Policy.parse({"epochs": 4, **fields}), optimizer=None, example_input=network.example())
    assert message in str(refused.value)


def test_rewinding_from_scratch_needs_an_epoch_to_come_back_to() -> None:
    network = NETWORKS["mlp"]
    given = Policy.parse({"epochs": 4, "schedule_type": "rewind_pruning", "epoch_threshold": 0})
    session = PruningSession(network.make(), given, optimizer=None, example_input=network.example())
    with pytest.raises(PolicyError, match="rewind_pruning has no accuracy to come back to: none was measured before"):
        session.before_epoch(0)
    trained = PruningSession(network.make(), given, optimizer=None, example_input=network.example(), target=0.9)
    assert trained.before_epoch(0, 0.9).cut is not None


RUN: list[tuple[str, str]] = [
    ("threshold: 1.5", "threshold: must be less than 1, got 1.5"),
    ("criterion: tailor", "did you mean 'taylor'?"),
    ("only: [fcc1]", "only: 'fcc1' matches no group of digits-mlp"),
    ("scope: ratios\nratio: {fx1: 0.2}", "ratio: 'fx1' matches no group of digits-mlp"),
    ("granularity: neuron\nround_to: 512", "round_to: 512 is more than the width of fc1 (128), fc2 (64)"),
    ("granularity: neuron\ncriterion: bn_scale", "'bn_scale' needs a norm behind every unit, and there is none behind fc1, fc2"),
    ("granularity: neuron\nspare: ['*']", "nothing is left to prune\n  - fc1: spared by the policy"),
    ("only: [fc3]", "nothing is left to prune"),
    ("scope: ratios\nratio: {default: 0.5, fc3: 0.2}", "ratio: 'fc3' names only what is not pruned"),
    ("granularity: neuron\nprune_output_layer: true", "prune_output_layer: outputs of the network cannot be removed"),
    ("schedule_type: rewind_pruning\nepoch_threshold: 0", "epoch_threshold: 0 leaves rewind_pruning no accuracy"),
    ("granularity: filter", "granularity: 'filter' is nothing that digits-mlp has"),
]


@pytest.mark.parametrize(("text", "message"), RUN, ids=[m for _, m in RUN])
def test_run_refuses_before_anything_is_trained(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(self: nn.Module, mode: bool = True) -> nn.Module:
        raise AssertionError("something is trained")

    policy = tmp_path / "policy.yaml"
    policy.write_text(f"epochs: 2\n{text}\n")
    monkeypatch.setattr("prunesearch.training.course.train_epoch", trained)
    with pytest.raises(PolicyError) as refused:
        run(policy, task="digits-mlp")
    assert message in str(refused.value) + (refused.value.hint or "")

"""A trial trains, prunes, cuts and measures as its policy says, and its figures are those of the network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from prunesearch.measure.accuracy import evaluate
from prunesearch.measure.params import count_dense, shape_signature
from prunesearch.models import mlp
from prunesearch.policy import Policy
from prunesearch.pruning.cut import rebuild
from prunesearch.results import DenseReference
from prunesearch.trial import TrialRunner
from tests.trial.blobs import LATENCY, blobs, job, make_runner, measured, numbers, policy, reference

POLICIES: dict[str, dict[str, Any]] = {
    "one_shot weights": {"function": "one_shot", "granularity": "weight"},
    "one_shot neurons": {"function": "one_shot", "granularity": "neuron", "criterion": "l2"},
    "static": {"granularity": "weight", "scope": "global"},
    "static, reinit": {"granularity": "neuron", "recovery": "reinit"},
    "gradual": {"function": "gradual", "converge_over": 2, "epoch_threshold": 1, "granularity": "weight"},
    "gradual, ratios": {
        "function": "gradual",
        "converge_over": 2,
        "epoch_threshold": 1,
        "granularity": "neuron",
        "scope": "ratios",
        "threshold": None,
        "ratio": {"fc1": 0.75, "default": 0.25},
    },
    "iterative, rewinding": {
        "function": "iterative",
        "prune_iter": 2,
        "granularity": "neuron",
        "recovery": "rewind_weights",
        "lr_restart": True,
    },
    "iterative to the end": {"function": "iterative", "prune_iter": 3, "last_cut": "at_end", "granularity": "weight"},
    "bound": {
        "schedule_type": "magnitude_threshold",
        "threshold": None,
        "weight_threshold": 0.2,
        "function": "gradual",
        "converge_over": 1,
    },
    "bound on units": {
        "schedule_type": "magnitude_threshold",
        "threshold": None,
        "weight_threshold": 0.9,
        "granularity": "neuron",
    },
    "learning-rate rewinding": {
        "schedule_type": "rewind_pruning",
        "threshold": 0.3,
        "threshold_step": 0.2,
        "eps": 0.2,
        "recovery_epochs": 1,
    },
    "criterion that needs gradients": {"criterion": "taylor", "granularity": "neuron"},
    "after the last epoch": {"epoch_threshold": 4, "granularity": "neuron"},
}


@pytest.mark.parametrize("name", POLICIES)
def test_every_kind_of_policy_runs_to_a_measured_network(runner: TrialRunner, dense: DenseReference, name: str) -> None:
    result = runner.run(job(policy(**POLICIES[name]), dense=dense))
    found = measured(result)
    assert result.state == "complete", result.reason
    assert [row.epoch for row in result.epochs] == [0, 1, 2, 3] and result.epochs_trained == 4
    assert 0 < found.params < dense.measures.params
    assert found.sparsity == pytest.approx(1 - found.params / dense.measures.params)
    assert found.accuracy > 0.5 and found.test_accuracy is not None
    assert sum(row.kept for row in result.layers) < sum(row.total for row in result.layers)


@pytest.mark.parametrize("name", POLICIES)
def test_a_trial_run_twice_has_the_same_bits(runner: TrialRunner, name: str) -> None:
    made = job(policy(**POLICIES[name]))
    assert numbers(runner.run(made)) == numbers(runner.run(made))


def test_another_seed_has_other_bits(runner: TrialRunner) -> None:
    one, other = (runner.run(job(policy(), seed=seed)) for seed in (0, 1))
    assert [row.loss for row in one.epochs] != [row.loss for row in other.epochs]


def test_trials_leave_no_trace_for_the_next(dense: DenseReference) -> None:
    fresh, used = make_runner(), make_runner()
    used.run(job(policy(granularity="neuron", recovery="reinit"), seed=3))
    used.run(job(seed=4))
    made = job(policy(granularity="neuron"), dense=dense)
    assert numbers(fresh.run(made)) == numbers(used.run(made))


def test_the_dense_network_is_a_job_without_a_policy(runner: TrialRunner) -> None:
    result = runner.run(job(latency=LATENCY))
    found, info = measured(result), runner.describe()
    assert (found.params, found.params_dense, found.macs, found.sparsity) == (info.params, info.params, info.macs, 0.0)
    assert (found.latency_ratio, found.latency_ratio_iqr) == (1.0, 0.0)
    assert found.latency_ms is not None and found.latency_ms > 0 and found.latency_iqr_ms is not None
    assert all(row.kept == row.total for row in result.layers)
    assert result.report["macro"]["f1"] > 0.5


def test_zero_epochs_measure_the_initial_network(runner: TrialRunner) -> None:
    result = runner.run(job(epochs=0))
    assert result.epochs == () and measured(result).params == runner.describe().params


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_the_kept_network_is_the_one_that_was_measured(runner: TrialRunner, tmp_path: Path, granularity: str) -> None:
    result = runner.run(job(policy(granularity=granularity), keep_to=str(tmp_path / "kept")))
    found = measured(result)
    assert result.kept_in == str(tmp_path / "kept")
    model = rebuild(mlp((3, 24, 16, 3)), json.loads((tmp_path / "kept" / "architecture.json").read_text()))
    model.load_state_dict(load_file(tmp_path / "kept" / "model.safetensors"))
    assert evaluate(model, [blobs(90, seed=2)], "accuracy") == found.accuracy
    assert evaluate(model, [blobs(90, seed=1)], "accuracy") == found.test_accuracy
    assert (shape_signature(model), count_dense(model)) == (result.signature, found.params_dense)
    stored = sum(int(t.count_nonzero()) for t in model.state_dict().values())
    assert stored == found.params


def test_widths_layers_and_params_agree(runner: TrialRunner) -> None:
    result = runner.run(job(policy(scope="ratios", threshold=None, ratio={"fc1": 0.75, "fc2": 0.5}, granularity="neuron")))
    assert [(row.name, row.kept, row.total) for row in result.layers] == [("fc1", 6, 24), ("fc2", 8, 16), ("fc3", 3, 3)]
    assert measured(result).params == (3 * 6 + 6) + (6 * 8 + 8) + (8 * 3 + 3)


def test_masks_hold_while_training(runner: TrialRunner) -> None:
    rows = runner.run(job(policy(threshold=0.9, scope="global"))).epochs
    assert [row.sparsity for row in rows][:2] == [0.0, 0.0]
    assert rows[2].sparsity == rows[3].sparsity > 0.7


def drifting(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Moves every weight, whatever its gradient is."""
    held = list(parameters)
    optimizer = torch.optim.SGD(held, lr=0.1)

    def drift(*_: Any) -> None:
        with torch.no_grad():
            for parameter in held:
                parameter.add_(1e-4)

    optimizer.register_step_post_hook(drift)
    return optimizer


def test_masks_hold_whatever_the_optimiser_does() -> None:
    runner = make_runner(optimizer=drifting)
    still = make_runner(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    drifted, plain = (measured(r.run(job(policy(threshold=0.9, epoch_threshold=1)))) for r in (runner, still))
    assert drifted.params == plain.params < 200


def test_a_cut_after_the_last_epoch_shows_only_in_the_end(runner: TrialRunner) -> None:
    result = runner.run(job(policy(epoch_threshold=4, threshold=0.8)))
    assert all(row.sparsity == 0.0 for row in result.epochs)
    assert measured(result).sparsity > 0.5


def test_what_is_measured_under_one_shot_is_what_the_next_epoch_starts_from(runner: TrialRunner) -> None:
    result = runner.run(job(policy(function="one_shot", epoch_threshold=1, threshold=0.9)))
    assert result.epochs[0].sparsity == 0.0  # before the first order: the dense network that all trials share
    assert all(row.sparsity > 0.5 for row in result.epochs[1:])
    assert result.epochs[-1].accuracy == measured(result).accuracy


def test_restarts_of_the_learning_rate_follow_the_policy() -> None:
    runner = make_runner(lr_schedule="cosine")
    rates = [row.learning_rate for row in runner.run(job(policy(lr_restart=True))).epochs]
    assert rates[2] == rates[0] == 1e-2 > rates[1]
    assert rates[3] == pytest.approx(5e-3)
    rewound = policy(
        schedule_type="rewind_pruning",
        threshold=0.3,
        threshold_step=0.1,
        eps=0.9,
        initial_learning_rate=4e-3,
        recovery_epochs=2,
    )
    rates = [row.learning_rate for row in runner.run(job(rewound)).epochs]
    assert rates[2:] == pytest.approx([4e-3, 4e-3])
    plain = [row.learning_rate for row in runner.run(job(policy())).epochs]
    assert plain == pytest.approx([1e-2 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)])


def test_seconds_add_up(runner: TrialRunner) -> None:
    result = runner.run(job(policy(granularity="neuron"), latency=LATENCY))
    total = sum(asdict(result.timings).values())
    assert total == pytest.approx(measured(result).seconds, abs=0.02)
    assert result.timings.latency > 0 and result.timings.train > 0 and result.timings.wait == 0.0


def test_equal_shapes_share_one_latency(runner: TrialRunner, dense: DenseReference) -> None:
    weights = measured(runner.run(job(policy(threshold=0.05), dense=dense, latency=LATENCY)))
    assert (weights.latency_ratio, weights.latency_ms) == (1.0, dense.measures.latency_ms)
    neurons = policy(granularity="neuron")
    first = runner.run(job(neurons, dense=dense, latency=LATENCY))
    known = {first.signature: (0.25, 0.01)}
    again = runner.run(job(neurons, dense=dense, latency=LATENCY, known_latency=known))
    dense_ms = dense.measures.latency_ms
    assert dense_ms is not None and not first.latency_shared and again.latency_shared
    assert measured(again).latency_ms == 0.25 * dense_ms and measured(again).latency_iqr_ms == 0.01 * dense_ms
    ratio = measured(first).latency_ratio
    assert ratio is not None and measured(first).latency_ms == ratio * dense_ms


def test_without_a_latency_spec_none_is_measured(runner: TrialRunner) -> None:
    assert measured(runner.run(job(policy(granularity="neuron")))).latency_ms is None


def test_the_test_split_is_left_alone_where_asked(runner: TrialRunner) -> None:
    result = runner.run(job(policy(), test=False))
    assert measured(result).test_accuracy is None and result.report == {}


def test_the_test_split_never_changes_a_trial(runner: TrialRunner) -> None:
    other = make_runner(test=blobs(30, seed=9))
    one, two = (r.run(job(policy(granularity="neuron"))) for r in (runner, other))
    assert measured(one).accuracy == measured(two).accuracy
    assert [replace(row, seconds=0) for row in one.epochs] == [replace(row, seconds=0) for row in two.epochs]


def trained() -> dict[str, torch.Tensor]:
    """Weights of the blobs' network, trained by hand."""
    torch.manual_seed(0)
    model, (x, y) = mlp((3, 24, 16, 3)), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.state_dict()


def test_given_weights_are_the_dense_network_untrained() -> None:
    state = trained()
    runner = make_runner(weights=state)
    model = mlp((3, 24, 16, 3))
    model.load_state_dict(state)
    result = runner.run(job())
    assert result.epochs == () and runner.describe().weights_given
    assert measured(result).accuracy == evaluate(model, [blobs(90, seed=2)], "accuracy") > 0.9


def test_given_weights_can_be_pruned_without_any_training() -> None:
    runner = make_runner(weights=trained())
    made = Policy.parse({"epochs": 0, "threshold": 0.5, "granularity": "neuron"})
    result = runner.run(job(made, dense=reference(runner.run(job()))))
    assert result.state == "complete" and result.epochs == ()
    assert measured(result).params_dense == (3 * 12 + 12) + (12 * 8 + 8) + (8 * 3 + 3)


def test_learning_rate_rewinding_of_given_weights_starts_at_once() -> None:
    runner = make_runner(weights=trained())
    made = policy(schedule_type="rewind_pruning", epoch_threshold=0, threshold=0.3, eps=0.3, recovery_epochs=1)
    result = runner.run(job(made))
    assert result.epochs[0].sparsity > 0.2
    assert any("came back" in note for note in result.notes)


def _hidden(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """What stands behind the first norm, before its activation."""
    mean, var = state["0.1.running_mean"], state["0.1.running_var"]
    raw = x @ state["0.0.weight"].T + state["0.0.bias"]
    return (raw - mean) / (var + 1e-5).sqrt() * state["0.1.weight"] + state["0.1.bias"]


def test_norm_statistics_are_renewed_where_asked(tmp_path: Path) -> None:
    def build() -> nn.Module:
        first = nn.Sequential(nn.Linear(3, 24), nn.BatchNorm1d(24), nn.ReLU())
        return nn.Sequential(first, nn.Sequential(nn.Linear(24, 24), nn.BatchNorm1d(24), nn.ReLU()), nn.Linear(24, 3))

    runner, states = make_runner(model=build), []
    for count in (0, 7):
        made = policy(granularity="neuron", epoch_threshold=4, threshold=0.75, recalibrate_batches=count)
        runner.run(job(made, keep_to=str(tmp_path / str(count))))
        states.append(load_file(tmp_path / str(count) / "model.safetensors"))
    plain, renewed = states
    assert all(torch.equal(plain[name], renewed[name]) for name in plain if "running" not in name and "num" not in name)
    inputs = [torch.relu(_hidden(renewed, x)) @ renewed["1.0.weight"].T + renewed["1.0.bias"] for x in (blobs()[0],)]
    assert torch.allclose(renewed["1.1.running_mean"], inputs[0].mean(0), atol=0.2)
    assert not torch.allclose(plain["1.1.running_mean"], inputs[0].mean(0), atol=0.2)


def painted(count: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of one channel and the class of every pixel."""
    x = torch.randn(count, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long() + (x[:, 0] > 1).long()


def sides(column: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Points, and as a float on which side of a line they lie."""
    x, _ = blobs()
    y = (x[:, 0] > x[:, 1]).float()
    return x, y[:, None] if column else y


SHAPES: dict[str, tuple[Any, Any, str]] = {
    "floats": (sides(column=False), lambda: mlp((3, 24, 1)), "bce_with_logits"),
    "a column of floats": (sides(column=True), lambda: mlp((3, 24, 1)), "bce_with_logits"),
    "maps": (painted(), lambda: nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1)), "cross_entropy"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_test_split_is_judged_as_the_validation_split_is(shape: str) -> None:
    data, model, loss = SHAPES[shape]
    result = make_runner(model=model, loss=loss, train=data, val=data, test=data).run(job(policy(granularity="weight")))
    assert measured(result).test_accuracy == measured(result).accuracy > 0.5

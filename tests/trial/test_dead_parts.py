"""Units that pruning of single weights has left dead leave the trial's network: as accurate, smaller, measured as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from prunesearch.engines.base import EngineSpec
from prunesearch.measure.accuracy import evaluate
from prunesearch.measure.params import count_dense, count_stored, shape_signature
from prunesearch.models import mlp
from prunesearch.pruning.cut import rebuild
from prunesearch.results import DenseReference, Result
from prunesearch.trial import TrialRunner
from tests.trial.blobs import LATENCY, blobs, job, make_runner, make_task, measured, policy, reference


def kept(result: Result, model: nn.Module) -> nn.Module:
    """The network that a trial has kept, in a fresh instance of its class."""
    folder = Path(str(result.kept_in))
    rebuild(model, json.loads((folder / "architecture.json").read_text()))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


def noted(result: Result) -> bool:
    return any(note.startswith("removed ") and " dead unit" in note for note in result.notes)


SCHEDULES: dict[str, dict[str, Any]] = {
    "static": {},
    "global": {"scope": "global"},
    "growing": {"function": "one_shot"},
    "gradual": {"function": "gradual", "converge_over": 2, "epoch_threshold": 1},
    "biases too": {"prune_bias": True},
    "outputs too": {"prune_output_layer": True},
    "rewinding": {"schedule_type": "rewind_pruning", "threshold_step": 0.05, "eps": 0.9, "recovery_epochs": 1},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_dead_units_leave_and_every_figure_is_that_of_the_smaller_network(
    runner: TrialRunner, dense: DenseReference, tmp_path: Path, name: str
) -> None:
    made = policy(**{"threshold": 0.8} | SCHEDULES[name])
    result = runner.run(job(made, dense=dense, latency=LATENCY, keep_to=str(tmp_path / "kept")))
    found, model = measured(result), kept(result, mlp((3, 24, 16, 3)))
    assert result.state == "complete" and noted(result), (result.reason, result.notes)
    assert found.params_dense == count_dense(model) < dense.measures.params_dense and found.macs < dense.measures.macs
    names = {n for n, _ in model.named_parameters() if made.prune_bias or n.endswith("weight")}
    names -= set() if made.prune_output_layer else {"fc3.weight", "fc3.bias"}
    assert found.params == count_stored(model, names) < found.params_dense
    assert result.signature == shape_signature(model) != dense.signature
    assert not result.latency_shared and found.latency_ratio not in (None, 1.0)
    assert evaluate(model, [blobs(90, seed=2)], "accuracy") == found.accuracy
    assert evaluate(model, [blobs(90, seed=1)], "accuracy") == found.test_accuracy
    if made.schedule_type == "magnitude_percentage":  # whose last epoch was measured with the last masks
        assert found.accuracy == result.epochs[-1].accuracy
    weights = int(model.get_parameter("fc1.weight").count_nonzero())
    assert result.layers[0].total == 72 + 24 * made.prune_bias and weights <= result.layers[0].kept  # rows say what masks say


def test_a_network_without_dead_units_stays_as_it_is(runner: TrialRunner, dense: DenseReference) -> None:
    result = runner.run(job(policy(threshold=0.05), dense=dense, latency=LATENCY))
    found = measured(result)
    assert (found.params_dense, found.macs, result.signature) == (dense.measures.params, dense.measures.macs, dense.signature)
    assert (found.latency_ratio, found.latency_ms, result.latency_shared) == (1.0, dense.measures.latency_ms, True)
    assert result.notes == ()


@pytest.mark.parametrize("fields", [{"only": ["fc2"]}, {"spare": ["fc1"]}])
def test_layers_that_the_policy_spares_keep_their_units(
    runner: TrialRunner, tmp_path: Path, fields: dict[str, list[str]]
) -> None:
    result = runner.run(job(policy(threshold=0.95, **fields), keep_to=str(tmp_path / "kept")))
    model = kept(result, mlp((3, 24, 16, 3)))
    assert model.get_parameter("fc1.weight").shape == (24, 3) and model.get_parameter("fc2.weight").shape[0] < 16
    assert (model.get_parameter("fc2.weight") == 0).all(0).any()  # units of fc1 that nobody reads


def test_where_the_metric_would_change_the_network_stays() -> None:
    def width(model: nn.Module, _batches: Iterable[Any]) -> float:
        return 1 / model.get_parameter("fc1.weight").shape[0]

    result = make_runner(evaluate=width).run(job(policy(threshold=0.9)))
    found = measured(result)
    assert found.accuracy == 1 / 24 and found.params_dense == 547
    assert any(note.startswith("dead units stay: without them the accuracy is ") for note in result.notes)


def test_a_metric_that_is_not_counted_may_round() -> None:
    def target(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, _ = blobs(count, seed=seed)
        return x, x[:, 0] * 2 - x[:, 1]

    runner = make_runner(
        loss="mse", metric="mse", model=lambda: mlp((3, 24, 16, 1)), train=target(240, 0), val=target(90, 1), test=target(90, 2)
    )
    result = runner.run(job(policy(threshold=0.8)))
    assert noted(result) and measured(result).accuracy == pytest.approx(result.epochs[-1].accuracy, rel=1e-5)


class Padded(nn.Module):
    """A convolution behind a padded one and behind one that is not; silu, so that what a dead filter emits is not zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.padded = nn.Conv2d(8, 8, 3, padding=1)
        self.bare = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.padded(functional.silu(self.first(x))))
        out: torch.Tensor = self.fc(functional.silu(self.bare(x)).mean((2, 3)))
        return out


def stripes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are dark, bright, or bright on one side."""
    drawn, y = torch.Generator().manual_seed(seed), torch.arange(count) % 3
    x = 0.3 * torch.randn(count, 1, 6, 6, generator=drawn) + (y == 1).float().view(-1, 1, 1, 1)
    x[y == 2, :, :, 3:] += 1.5
    return x, y


def test_constants_are_folded_over_no_padding(tmp_path: Path) -> None:
    """Filters of `first` that are dead speak to a padded convolution and stay; those of `padded` go into a bias."""

    def still() -> nn.Module:
        model = Padded()
        with torch.no_grad():
            model.first.weight[:3] *= 1e-6  # so that they go first, with biases that still speak
            model.padded.weight[:3] *= 1e-6
            model.get_parameter("first.bias")[:3] = 2.0
            model.get_parameter("padded.bias")[:3] = 2.0
        return model

    task = make_task(
        model=still, train=stripes(240, 0), val=stripes(90, 1), test=stripes(90, 2), lr=3e-3, spare=("bare",), channels_last=True
    )
    runner = TrialRunner.from_task(task, EngineSpec("stripes", device="cpu"))
    dense = reference(runner.run(job(latency=LATENCY)))
    made = policy(threshold=0.376, epoch_threshold=0)
    result = runner.run(job(made, dense=dense, keep_to=str(tmp_path / "kept")))
    model = kept(result, Padded())
    widths = [model.get_parameter(f"{name}.weight").shape[0] for name in ("first", "padded", "bare")]
    assert widths == [8, 5, 8] and result.notes == ("removed 3 dead units: padded 3; 3 folded into biases",)
    assert measured(result).accuracy == result.epochs[-1].accuracy == evaluate(model, [stripes(90, 1)], "accuracy") > 0.9
    assert bool((model.get_parameter("first.weight")[:3] == 0).all()) and bool(model.get_parameter("first.bias")[:3].all())

"""Sensitivity of groups: what is asked, and that the figures are those of networks masked by hand with torch's own pruning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune

from prunesearch.engines import EngineSpec
from prunesearch.errors import PolicyError, UsageError
from prunesearch.measure.accuracy import evaluate
from prunesearch.results import Job, Measures, Result, TaskInfo
from prunesearch.sensitivity import Sensitivity
from prunesearch.sweeps import Point, Sweep, run_sweep
from prunesearch.sweeps.groups import Probe
from prunesearch.tasks import load_task
from prunesearch.training.prepare import Prepared, prepare
from prunesearch.trial import TrialRunner
from tests.search.parts import CNN, MLP, group, info
from tests.trial.blobs import make_task

LEVELS = (0.25, 0.5, 0.8)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("stages"))


def spec(stages: str) -> EngineSpec:
    return EngineSpec("digits-cnn", 2, device="cpu", stages=stages)


@pytest.fixture(scope="module")
def found(stages: str) -> Sensitivity:
    probe = Probe(LEVELS)
    return probe.outcome(run_sweep(spec(stages), probe.candidates, (0,), engine="serial"), 0)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load_task("digits-cnn"), "digits-cnn", seed=0, device=torch.device("cpu"), epochs=2)


@pytest.fixture(scope="module")
def trained(stages: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dense network after its two epochs, as the trial runner keeps it."""
    folder = tmp_path_factory.mktemp("dense") / "network"
    TrialRunner(spec(stages)).run(Job(-1, None, 2, 0, keep_to=str(folder)))
    return folder / "model.safetensors"


def network(prepared: Prepared, trained: Path) -> nn.Sequential:
    model = prepared.task.model()
    model.load_state_dict(load_file(trained))
    assert isinstance(model, nn.Sequential)
    return model


def masked(model: nn.Sequential, name: str, kind: str, ratio: float) -> nn.Sequential:
    """A group pruned with torch.nn.utils.prune, and everything else that belongs to its units zeroed by hand."""
    layer: Any = model.get_submodule(name)
    if kind == "weight":
        prune.l1_unstructured(layer, "weight", amount=math.floor(layer.weight.numel() * ratio + 1e-9))
        return model
    prune.ln_structured(layer, "weight", amount=math.floor(len(layer.weight) * ratio + 1e-9), n=1, dim=0)
    gone = layer.weight_mask.flatten(1).sum(1) == 0
    following = {"conv1": ("norm1", "conv2"), "conv2": ("norm2", "fc1"), "fc1": ("fc1", "fc2")}[name]
    own: Any = model.get_submodule(following[0])
    after: Any = model.get_submodule(following[1])
    with torch.no_grad():
        own.bias[gone] = 0
        if name != "fc1":
            own.weight[gone] = 0
        per = after.weight.shape[1] // len(gone)
        after.weight[:, gone.repeat_interleave(per)] = 0
    return model


def test_what_is_lost_is_what_torchs_own_pruning_loses(found: Sensitivity, prepared: Prepared, trained: Path) -> None:
    validation = prepared.splits.val
    dense = evaluate(network(prepared, trained), validation.ordered(), "accuracy")
    assert found.dense == dense
    assert [(c.group, c.kind) for c in found.groups] == [
        ("conv1", "weight"),
        ("conv2", "weight"),
        ("fc1", "weight"),
        ("conv1", "filter"),
        ("conv2", "filter"),
        ("fc1", "neuron"),
    ]
    for curve in found.groups:
        for ratio, drop in zip(LEVELS, curve.drops, strict=True):
            model = masked(network(prepared, trained), curve.group, curve.kind, ratio)
            assert drop == pytest.approx(dense - evaluate(model, validation.ordered(), "accuracy"), abs=1e-12), (curve, ratio)
    assert max(max(d for d in c.drops if d is not None) for c in found.groups) > 0.1  # a comparison of zeros would prove nothing


def test_the_dense_epochs_are_trained_once(stages: str, found: Sensitivity) -> None:
    sweep = run_sweep(spec(stages), Probe((0.6,), ("filter",)).candidates, (0,), engine="serial")
    assert [p.result.epochs_trained for p in sweep.points] == [0, 0]
    assert found.groups


def test_networks_are_trained_after_the_cut_within_the_same_epochs() -> None:
    for point in Probe((0.5,), ("neuron",), retrain=3).candidates(info(MLP, epochs=10)):
        assert point.policy is not None
        assert (point.policy.epochs, point.policy.epoch_threshold, point.policy.function) == (10, 7, "one_shot_static")


def test_given_weights_are_cut_as_they_are() -> None:
    for retrain in (0, 3):
        (point,) = Probe((0.5,), ("neuron",), retrain=retrain).candidates(info(MLP[3:4], epochs=10, weights_given=True))
        assert point.policy is not None
        assert (point.policy.epochs, point.policy.epoch_threshold) == (retrain, 0)


def test_given_weights_are_judged_untrained(tmp_path: Path) -> None:
    weights = make_task().model().state_dict()
    task = make_task(weights=weights, epochs=4)
    sweep = run_sweep(EngineSpec("blobs", device="cpu"), Probe((0.5,), ("weight",)).candidates, (0,), task=task, engine="serial")
    assert [len(p.result.epochs) for p in sweep.points] == [0, 0]
    assert [row.kept < row.total for row in sweep.points[1].result.layers][:2] == [False, True]


def test_one_group_at_a_time_and_weights_before_units() -> None:
    candidates = Probe((0.2, 0.9)).candidates(info(CNN))
    names = ["fc1", "fc2", "conv1", "fc1", "fc2", "conv1", "conv2"]
    assert [c.policy.ratio for c in candidates if c.policy] == [{n: r} for n in names for r in (0.2, 0.9)]
    assert [c.policy.granularity for c in candidates if c.policy][::2] == ["weight"] * 3 + ["neuron"] * 2 + ["filter"] * 2
    units = Probe((0.5,), ("unit",)).candidates(info(CNN))
    assert [c.series for c in units] == ["neuron fc1", "neuron fc2", "filter conv1", "filter conv2"]


def test_what_the_network_has_not_is_refused() -> None:
    with pytest.raises(PolicyError, match="'filter' is nothing that digits-mlp has"):
        Probe(granularities=("filter",)).candidates(info(MLP))
    with pytest.raises(PolicyError, match="nothing that can be pruned") as caught:
        Probe().candidates(info((group("fc1", "weight", 3, "spared"),)), "my_task.py:make_task")
    assert caught.value.hint == "'prunesearch groups --task my_task.py:make_task' says why"
    with pytest.raises(PolicyError, match="'l3' is unknown"):
        Probe(criterion="l3").candidates(info(MLP))
    with pytest.raises(UsageError, match="--retrain 11 is more than the 10 epochs"):
        Probe(retrain=11).candidates(info(MLP))


def result(accuracy: float, params: int = 50) -> Result:
    return Result("complete", Measures(accuracy, params, params, 1, 1, 0.5, 1.0, test_accuracy=0.0))


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_means_over_seeds_and_failures(direction: str, sign: int) -> None:
    network: TaskInfo = info(MLP[3:5])
    object.__setattr__(network, "direction", direction)
    dense = {3: result(0.9, 100), 4: result(0.8, 100)}
    accuracies: list[list[float | None]] = [[0.85, 0.8], [0.6, 0.7], [0.9, 0.8], [0.5, None]]
    failed = Result("failed", None, reason="nan")
    points = [
        Point("x", 0.5, s, failed if a is None else result(a)) for row in accuracies for s, a in zip((3, 4), row, strict=True)
    ]
    made = Probe((0.5, 0.8)).outcome(Sweep("t", network, 4, (3, 4), dense, tuple(points)), 3)
    first, second = made.groups
    assert made.dense == pytest.approx(0.85)
    assert first.drops == pytest.approx((sign * 0.025, sign * 0.2))
    assert first.deviations == pytest.approx((0.05 / math.sqrt(2), 0.2 / math.sqrt(2)))
    assert first.params == (50, 50)
    assert (second.drops, second.deviations, second.params) == ((0.0, None), (0.0, None), (50, None))

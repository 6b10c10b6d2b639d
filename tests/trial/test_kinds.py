"""Trials of every kind of task: loaders, hooks, regression, images, real data, other processes, the GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunesearch.engines.base import EngineSpec
from prunesearch.models import mlp
from prunesearch.policy import Policy
from prunesearch.results import Job
from prunesearch.trial import TrialRunner
from tests.trial.blobs import LATENCY, blobs, job, make_runner, make_task, measured, numbers, policy, reference


class Listed(Dataset[Any]):
    """A data set that is not a TensorDataset, so that it stays a data set."""

    def __init__(self, count: int, seed: int) -> None:
        self._x, self._y = blobs(count, seed=seed)

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._x[index], self._y[index]


def test_data_sets_and_loaders_train_like_tensors_and_repeat_themselves() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(TensorDataset(*blobs()), batch_size=32, shuffle=True)

    sources: list[dict[str, Any]] = [{"train": Listed(240, 0)}, {"train": loader, "test": lambda: DataLoader(Listed(90, 1), 45)}]
    for fields in sources:
        runner = make_runner(**fields)
        one, two = (runner.run(job(policy(granularity="neuron"))) for _ in range(2))
        assert one.state == "complete", one.reason
        assert numbers(one) == numbers(two)
        assert measured(one).accuracy > 0.8
        assert runner.describe().sizes == (240, 90, 90)


def test_loops_of_ones_own_are_pruned_and_repeat_themselves() -> None:
    seen: list[int] = []

    def train_epoch(model: nn.Module, batches: Iterable[Any], optimizer: torch.optim.Optimizer) -> float:
        total = 0.0
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) / 8
        return total

    def evaluate(model: nn.Module, batches: Iterable[Any]) -> float:
        assert not model.training
        seen.append(1)
        return float(sum((model(x).argmax(1) == y).sum() for x, y in batches)) / 90

    runner = make_runner(train_epoch=train_epoch, evaluate=evaluate)
    ours = make_runner().run(job(policy(threshold=0.9)))
    theirs = runner.run(job(policy(threshold=0.9)))
    assert len(seen) == 4 + 2 + 1  # epochs, the end with and without dead units, the test split
    assert [row.accuracy for row in theirs.epochs] == [row.accuracy for row in ours.epochs]
    assert measured(theirs).params == measured(ours).params and theirs.report == {}


def regression(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    x, _ = blobs(count, seed=seed)
    return x, x[:, 0] * 2 - x[:, 1]


def test_a_metric_that_is_minimised() -> None:
    fields: dict[str, Any] = {"loss": "mse", "metric": "mse", "model": lambda: mlp((3, 24, 16, 1))}
    runner = make_runner(**fields, train=regression(240, 0), val=regression(90, 1), test=regression(90, 2))
    info, dense = runner.describe(), runner.run(job())
    assert (info.metric, info.direction, info.classes) == ("mse", "minimize", 0)
    assert dense.epochs[-1].accuracy < dense.epochs[0].accuracy
    always = policy(schedule_type="rewind_pruning", threshold=0.3, threshold_step=0.1, eps=0.9, recovery_epochs=1)
    result = runner.run(job(always, dense=reference(dense)))
    assert result.state == "complete" and "level 0.4 came back" in str(result.notes)
    never = policy(schedule_type="rewind_pruning", threshold=0.95, eps=0.0, recovery_epochs=1)
    assert "no level came back" in str(runner.run(job(never)).notes)


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = torch.randint(0, 120, (count, 3, 8, 8), generator=drawn, dtype=torch.uint8)
    x[:, 0] += (y * 100).to(torch.uint8).view(-1, 1, 1)
    return x, y


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 2),
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_images_with_augmentation_norms_and_dropout(optimizer: str, channels_last: bool) -> None:
    task = make_task(
        model=cnn,
        train=images(960, 0),
        val=images(60, 1),
        test=images(60, 2),
        augment=("crop", "flip"),
        normalize=((0.3, 0.3, 0.3), (0.2, 0.2, 0.2)),
        optimizer=optimizer,
        channels_last=channels_last,
    )
    runner = TrialRunner.from_task(task, EngineSpec("images", device="cpu"))
    assert runner.describe().granularities == ("weight", "filter")
    normed = policy(granularity="filter", criterion="bn_scale", only=["0"])
    for made in (policy(granularity="filter"), policy(function="one_shot"), normed):
        one, two = (runner.run(job(made)) for _ in range(2))
        assert one.state == "complete", one.reason
        assert numbers(one) == numbers(two)
        assert measured(one).accuracy > 0.8


def test_a_fresh_process_computes_the_same_bits() -> None:
    code = """
import json, sys
from dataclasses import asdict
from prunesearch.engines.base import EngineSpec
from prunesearch.policy import Policy
from prunesearch.results import Job
from prunesearch.trial import TrialRunner
runner = TrialRunner(EngineSpec("digits-cnn", device="cpu"))
result = runner.run(Job(0, Policy.parse(json.loads(sys.argv[1])), 2, 0))
print(json.dumps([runner.describe().digest, [asdict(r) for r in result.epochs], asdict(result.measures), result.signature]))
"""
    made = Policy.parse({"epochs": 2, "threshold": 0.5, "granularity": "unit", "epoch_threshold": 1})
    done = subprocess.run([sys.executable, "-c", code, json.dumps(made.to_dict())], capture_output=True, text=True, check=True)
    digest, epochs, measures, signature = json.loads(done.stdout)
    runner = TrialRunner(EngineSpec("digits-cnn", device="cpu"))
    result = runner.run(Job(0, made, 2, 0))
    assert (digest, signature) == (runner.describe().digest, result.signature)
    ours = [{**asdict(row), "seconds": 0} for row in result.epochs]
    assert [{**row, "seconds": 0} for row in epochs] == ours
    assert {**measures, "seconds": 0} == {**asdict(measured(result)), "seconds": 0}


@pytest.mark.parametrize("ref", ["iris-mlp", "moons-mlp", "circles-mlp"])
def test_small_built_in_tasks_learn(ref: str) -> None:
    runner = TrialRunner(EngineSpec(ref, device="cpu"))
    dense = runner.run(Job(-1, None, runner.describe().epochs, 0))
    assert measured(dense).test_accuracy is not None and (measured(dense).test_accuracy or 0) > 0.9


@pytest.mark.data
@pytest.mark.parametrize(
    ("ref", "granularity", "accuracy"), [("mnist-lenet300", "weight", 0.95), ("mnist-cnn84", "filter", 0.85)]
)
def test_real_digits_are_learned_and_pruned_in_one_epoch(data_dir: Path, ref: str, granularity: str, accuracy: float) -> None:
    runner = TrialRunner(EngineSpec(ref, device="cpu", data_dir=str(data_dir)))
    assert runner.describe().sizes == (54_000, 6_000, 10_000)
    made = Policy.parse({"epochs": 1, "granularity": granularity, "threshold": 0.25, "epoch_threshold": 0})
    result = runner.run(Job(0, made, 1, 0))
    assert result.state == "complete", result.reason
    assert (measured(result).test_accuracy or 0) > accuracy


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("granularity", ["weight", "filter"])
def test_the_gpu_gives_the_cpus_accuracy_within_noise(granularity: str) -> None:
    task = make_task(model=cnn, train=images(240, 0), val=images(90, 1), test=images(90, 2), augment=("flip",))
    runners = [TrialRunner.from_task(task, EngineSpec("images", device=device)) for device in ("cpu", "cuda")]
    results = []
    for runner in runners:
        dense = reference(runner.run(job(latency=LATENCY)))
        results.append(runner.run(job(policy(granularity=granularity), dense=dense, latency=LATENCY)))
    on_cpu, on_gpu = (measured(result) for result in results)
    assert on_gpu.accuracy == pytest.approx(on_cpu.accuracy, abs=0.1)
    assert replace(on_gpu, accuracy=0).params == on_cpu.params
    assert results[1].device.startswith("cuda:0 ")

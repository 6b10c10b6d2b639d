"""Recordings of real trials: what is recorded is what was enforced, and recording changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from prunesearch.pruning.session import PruningSession
from prunesearch.recordings import Recording
from prunesearch.results import EpochRow, Result
from prunesearch.tasks import Task
from prunesearch.training.prepare import prepare
from prunesearch.training.recorder import Recorder
from prunesearch.trial import TrialRunner
from tests.trial.blobs import CPU, blobs, job, make_task, numbers, policy

ROUNDS = {"function": "iterative", "prune_iter": 2, "epoch_threshold": 1, "recovery": "rewind_weights", "rewind_to": 0}
RECOVERS = {"schedule_type": "rewind_pruning", "threshold": 0.2, "threshold_step": 0.2, "threshold_max": 0.6, "eps": 0.3}
POLICIES: dict[str, dict[str, Any]] = {
    "gradual weights": {"function": "gradual", "scope": "global", "epoch_threshold": 0, "converge_over": 3},
    "free": {"function": "one_shot", "epoch_threshold": 1},
    "neurons, smaller before the end": {"granularity": "neuron", "function": "one_shot_static", "epoch_threshold": 1},
    "rounds of neurons, rewound": {"granularity": "neuron", **ROUNDS},
    "after the last epoch": {"function": "one_shot_static", "epoch_threshold": 4},
    "as long as it recovers": {**RECOVERS, "scope": "layer", "recovery_epochs": 1, "initial_learning_rate": 1e-3},
}


def made(name: str) -> Any:
    return policy(**POLICIES[name])


def ran(runner: TrialRunner, name: str, to: Path | None) -> Result:
    result = runner.run(job(made(name), record_to=str(to) if to else None))
    assert result.state == "complete", result.reason
    return result


@pytest.mark.parametrize("name", POLICIES)
def test_recording_changes_nothing(runner: TrialRunner, name: str, tmp_path: Path) -> None:
    recorded = ran(runner, name, tmp_path / "r")
    assert numbers(recorded) == numbers(ran(runner, name, None))
    found = Recording.read(tmp_path / "r")
    assert [s.row for s in found.states[1:-1]] == list(recorded.epochs)
    assert [s.kind for s in found.states] == ["initial", *["epoch"] * 4, "final"]
    assert recorded.measures is not None
    assert found.about["measures"]["accuracy"] == recorded.measures.accuracy
    assert found.policy == made(name)


@pytest.mark.parametrize("name", [n for n in POLICIES if n != "as long as it recovers"])
def test_masks_are_nested_and_zero_what_they_cover(runner: TrialRunner, name: str, tmp_path: Path) -> None:
    ran(runner, name, tmp_path / "r")
    found = Recording.read(tmp_path / "r")
    before = found.tensors(found.states[0])
    assert not before.kept
    for state in found.states[1:]:
        tensors = found.tensors(state)
        for weight, mask in tensors.kept.items():
            assert not tensors.values[weight][~mask].any()
            assert tensors.values[weight][mask].all() or weight.endswith("bias")
            assert name == "free" or not (mask & ~before.left(weight)).any(), "a later mask lies inside the earlier one"
        assert found.sparsity(state) == pytest.approx(state.row.sparsity if state.row else found.sparsity(found.states[-1]))
        before = tensors
    assert found.sparsity(found.states[-1]) > 0.3


def test_the_masks_are_those_that_the_session_enforces(tmp_path: Path) -> None:
    """Read from the network itself while it trains in a loop of its own: what is zero there is what is gone."""
    task = make_task()
    prepared = prepare(task, "blobs", seed=0, device=torch.device("cpu"))
    model, plan = prepared.fresh(0), made("gradual weights")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    session = PruningSession(model, plan, optimizer=optimizer, example_input=prepared.example, groups=prepared.groups)
    x, y = blobs()
    seen = []
    with Recorder(tmp_path / "r", prepared, plan, 0) as recorder:
        recorder.begin(model)
        for epoch in range(plan.epochs):
            session.before_epoch(epoch)
            for _ in range(3):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                session.after_step()
            with session.measuring():
                seen.append({n: p.detach().numpy().copy() for n, p in model.named_parameters()})
                recorder.epoch(EpochRow(epoch, 0.0, 0.0, 0.01, session.sparsity, 0.0), model, session)
        recorder.close(None)
    found = Recording.read(tmp_path / "r")
    assert (seen[-1]["fc1.weight"] == 0).sum() + (seen[-1]["fc2.weight"] == 0).sum() == (3 * 24 + 24 * 16) // 2
    assert set(found.tensors(found.states[-1]).kept) == {"fc1.weight", "fc2.weight"}
    for state, values in zip(found.states[1:], seen, strict=True):
        tensors = found.tensors(state)
        for name, value in values.items():
            np.testing.assert_array_equal(tensors.values[name], value)
            assert name not in tensors.kept or (tensors.left(name) == (value != 0)).all()


def test_the_last_epoch_is_the_network_that_the_run_left(runner: TrialRunner, tmp_path: Path) -> None:
    plan = made("neurons, smaller before the end")
    result = runner.run(job(plan, record_to=str(tmp_path / "r"), keep_to=str(tmp_path / "kept")))
    assert result.state == "complete"
    kept, found = load_file(tmp_path / "kept" / "model.safetensors"), Recording.read(tmp_path / "r")
    assert len(found.frames) == 5, "the final state is the last epoch's"
    tensors = found.tensors(found.frames[-1])
    assert kept["fc1.weight"].shape == (12, 3)
    for name, value in kept.items():
        left = tensors.left(name)
        rows = left.reshape(len(left), -1).any(axis=1)
        cut = tensors.values[name][rows]
        np.testing.assert_array_equal(cut[:, left.any(axis=0)] if cut.ndim > 1 else cut, value)


def test_the_start_is_the_dense_network(runner: TrialRunner, tmp_path: Path) -> None:
    ran(runner, "gradual weights", tmp_path / "r")
    found = Recording.read(tmp_path / "r")
    fresh = prepare(make_task(), "blobs", seed=0, device=torch.device("cpu")).fresh(0)
    tensors = found.tensors(found.states[0])
    for name, parameter in fresh.named_parameters():
        np.testing.assert_array_equal(tensors.values[name], parameter.detach().numpy())


@pytest.mark.parametrize("name", ["gradual weights", "neurons, smaller before the end", "free"])
def test_epochs_that_others_trained_are_recorded_alike(name: str, tmp_path: Path) -> None:
    spec = replace(CPU, stages=str(tmp_path / "stages"))
    first = ran(TrialRunner.from_task(make_task(), spec), name, tmp_path / "one")
    again = ran(TrialRunner.from_task(make_task(), spec), name, tmp_path / "two")
    assert first.epochs_trained == 4
    assert again.epochs_trained == 0
    one, two = Recording.read(tmp_path / "one"), Recording.read(tmp_path / "two")
    assert [s.sha256 for s in one.states] == [s.sha256 for s in two.states]


class Crossed(nn.Module):
    """A network that runs its layers in another order than it names them, one of them never."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.unused, self.first = nn.Linear(8, 3), nn.Linear(4, 4), nn.Linear(3, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(torch.relu(self.first(x)))
        return out


def test_layers_stand_in_the_order_in_which_they_run(tmp_path: Path) -> None:
    task: Task = make_task(model=Crossed, epochs=1)
    runner = TrialRunner.from_task(task, CPU)
    runner.run(job(policy(epochs=1, epoch_threshold=0, only=["first"]), record_to=str(tmp_path / "r")))
    assert [layer.name for layer in Recording.read(tmp_path / "r").layers] == ["first", "last"]

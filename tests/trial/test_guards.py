"""What goes wrong in a trial is its result, in words; nothing that a user's network does ends the search."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunesearch.api.rehearsal import rehearse
from prunesearch.engines import open_engine
from prunesearch.engines.base import EngineSpec
from prunesearch.errors import EnvironmentFailure, MissingDataError, TaskError, UsageError
from prunesearch.measure.lane import Lane
from prunesearch.models import mlp
from prunesearch.results import DenseReference
from prunesearch.trial import TrialRunner
from tests.disk import full_disk
from tests.trial.blobs import CPU, blobs, job, make_runner, make_task, measured, needs_fast, policy, reference


class Fails(nn.Module):
    """An MLP that raises in its n-th training step."""

    def __init__(self, error: BaseException, step: int = 12) -> None:
        super().__init__()
        self.net, self._error, self._left = mlp((3, 24, 16, 3)), error, step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._left -= self.training
        if self._left < 0:
            raise self._error
        out: torch.Tensor = self.net(x)
        return out


RAISED = {
    "an exception": (RuntimeError("strange\nlines"), "RuntimeError: strange"),
    "no memory on the GPU": (torch.OutOfMemoryError("CUDA out of memory. Tried to"), "out of memory: CUDA out of memory."),
    "no memory on the CPU": (MemoryError(), "out of memory: MemoryError"),
    "no memory in torch": (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: DefaultCPU"),
    "no device": (torch.AcceleratorError("CUDA error: unspecified launch failure"), "AcceleratorError: CUDA error"),
    "a label that is no class": (torch.AcceleratorError("CUDA error: device-side assert triggered"), "AcceleratorError: CUDA"),
}


def test_a_full_disk_lies_outside_of_the_trial(runner: TrialRunner, tmp_path: Path) -> None:
    with full_disk(1_000):
        result = runner.run(job(policy(), record_to=str(tmp_path / "here")))
    assert (result.state, result.outside, result.trace) == ("failed", True, None)
    assert re.match("cannot write .*/here': .*File too large", result.reason or "")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_the_network_and_no_figure(
    runner: TrialRunner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = runner.run(job(policy(), keep_to=str(tmp_path / "whole")))
    with full_disk(1_000):
        result = runner.run(job(policy(), keep_to=str(tmp_path / "here")))
    assert (result.state, result.kept_in) == ("complete", None)
    assert measured(result).accuracy == measured(whole).accuracy
    assert re.search("the network is not kept: cannot write .*/here': .*File too large", "\n".join(result.notes))
    assert "the network is not kept" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("name", RAISED)
def test_what_a_network_raises_is_recorded_with_what_was_done_so_far(name: str) -> None:
    error, told = RAISED[name]
    result = make_runner(model=lambda: Fails(error)).run(job(policy()))
    assert result.state == "failed" and result.measures is None
    assert (result.reason or "").startswith(told) and "\n" not in (result.reason or "")
    assert "Traceback" in (result.trace or "")
    assert result.outside == name.startswith("no ")
    assert [row.epoch for row in result.epochs] == [0]


def test_the_next_trial_runs_after_a_failure() -> None:
    models = iter([mlp((3, 24, 16, 3)), Fails(RuntimeError("once"))])
    runner = make_runner(model=lambda: next(models, mlp((3, 24, 16, 3))))
    states = [runner.run(job(policy())).state for _ in range(2)]
    assert states == ["failed", "complete"]


def test_what_a_failed_trial_held_is_given_back_at_once() -> None:
    """Its network and optimiser refer to each other in a circle, and on a GPU their memory is wanted now."""
    made: list[weakref.ref[nn.Module]] = []

    def model() -> nn.Module:
        net = Fails(RuntimeError("no"), step=20)
        made.append(weakref.ref(net))
        return net

    runner = make_runner(model=model)
    made.clear()
    gc.disable()
    try:
        assert runner.run(job(policy(epoch_threshold=1))).state == "failed"
        assert made and all(net() is None for net in made)
    finally:
        gc.enable()


def test_a_broken_gpu_ends_the_search_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every further trial would fail in a moment, and be counted."""
    monkeypatch.setattr("prunesearch.trial.answers", lambda _: False)
    task = make_task(model=lambda: Fails(RuntimeError("device-side assert"), step=5))
    with open_engine("serial", CPU, task=task) as engine:
        for number in range(2):
            engine.submit(job(policy(), number=number))
        outcome = engine.next()
        assert outcome is not None and outcome.result is not None and outcome.result.state == "failed"
        with pytest.raises(EnvironmentFailure, match="does not answer this process any more"):
            engine.next()


def test_the_pace_is_measured_as_a_trial_runs_making_way_for_latency(tmp_path: Path) -> None:
    class Counting(Lane):
        asked = 0

        def checkpoint(self) -> None:
            Counting.asked += self._working
            super().checkpoint()

    lane = Counting("cpu", folder=tmp_path / "locks")
    assert TrialRunner.from_task(make_task(), CPU, lane=lane).pace(0.01) > 0
    assert Counting.asked > 0


def test_ctrl_c_passes_through() -> None:
    runner = make_runner(model=lambda: Fails(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        runner.run(job(policy()))


def test_a_loss_that_explodes_fails_the_trial_with_epoch_and_rate() -> None:
    result = make_runner(optimizer="sgd", lr=1000.0, momentum=0.0, loss=lambda o, y: (o**4).mean()).run(job())
    assert result.state == "failed" and result.trace is None
    assert "the training loss became" in (result.reason or "") and "learning rate 1e+03" in (result.reason or "")


def test_a_policy_that_removes_nothing_is_infeasible_though_measured(runner: TrialRunner) -> None:
    result = runner.run(job(policy(threshold=0.0)))
    assert (result.state, result.reason) == ("infeasible", "the policy removed nothing")
    assert measured(result).sparsity == 0.0


def test_a_network_at_chance_is_infeasible_unless_the_dense_one_is_too(dense: DenseReference) -> None:
    hopeless = make_runner(val=(torch.zeros(90, 3), blobs(90)[1]))
    result = hopeless.run(job(policy(), dense=dense))
    assert result.state == "infeasible"
    assert result.reason == "accuracy 0.333 is at chance: always answering the commonest class gives 0.333"
    assert measured(result).test_accuracy == pytest.approx(dense.measures.test_accuracy, abs=0.1)
    assert hopeless.run(job(policy(), dense=reference(hopeless.run(job())))).state == "complete"


def test_a_collapsed_network_is_infeasible(runner: TrialRunner, dense: DenseReference) -> None:
    result = runner.run(job(policy(threshold=0.999, epoch_threshold=4, prune_output_layer=True), dense=dense))
    assert result.state == "infeasible" and "collapsed" in (result.reason or "")


def test_a_policy_that_does_not_fit_the_network_fails_in_words(runner: TrialRunner) -> None:
    result = runner.run(job(policy(granularity="filter")))
    assert result.state == "failed" and result.trace is None
    assert "the network has no such group" in (result.reason or "")
    typo = runner.run(job(policy(spare=["fc9"])))
    assert "spare: 'fc9' matches no group (did you mean" in (typo.reason or "")


def wrong_width() -> nn.Module:
    return mlp((3, 8, 2))


def wrong_input() -> nn.Module:
    return mlp((5, 8, 3))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(x), x


def explodes() -> nn.Module:
    raise ValueError("no network today")


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "too few outputs": ({"model": wrong_width}, "model: has 2 outputs per example, the targets have 3 classes"),
    "other inputs": ({"model": wrong_input}, r"model: does not run on inputs \(32, 3\): mat1 and mat2"),
    "no tensor": ({"model": Pair}, r"model: must return a tensor with one row per example, inputs \(32, 3\) gave tuple"),
    "no module": ({"model": lambda: 3}, "model: returned int"),
    "no parameters": ({"model": nn.Identity}, "model: the network has no parameters"),
    "a factory that raises": ({"model": explodes}, "making the network failed: ValueError: no network today"),
    "targets of another kind": ({"loss": "mse"}, r"loss: outputs \(32, 3\) do not fit targets \(32,\)"),
    "a loss per example": ({"loss": lambda o, y: o.mean(1)}, "loss: must return a scalar"),
    "a group that is not there": ({"spare": ("conv1",)}, "spare: 'conv1' matches no group"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_task_whose_parts_do_not_fit_is_told_before_any_trial(name: str) -> None:
    fields, told = UNFIT[name]
    with pytest.raises(TaskError, match=told):
        make_runner(**fields)


def test_weights_that_are_not_there_are_missing_data() -> None:
    with pytest.raises(MissingDataError, match="there is no file"):
        make_runner(weights="nowhere.pt")


def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(EnvironmentFailure, match="device 'cuda:99' is not there"):
        TrialRunner.from_task(make_task(), EngineSpec("blobs", device="cuda:99"))


def test_a_plug_in_that_does_not_load_is_told() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.py"):
        TrialRunner.from_task(make_task(), EngineSpec("blobs", device="cpu", plugins=("nowhere.py",)))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """What the process computes with outside trials."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@needs_fast
def test_a_loop_of_the_users_own_is_told_that_fast_is_not_for_it(caplog: pytest.LogCaptureFixture) -> None:
    def own(model: nn.Module, batches: Any, optimizer: torch.optim.Optimizer) -> float:
        return float(sum(model(x).sum() for x, _ in batches))

    for fields in ({}, {"train_epoch": own}):
        assert caplog.text == ""
        TrialRunner.from_task(make_task(**fields), replace(CPU, numerics="fast"))
    assert "own train_epoch computes as it is written" in caplog.text


@pytest.mark.usefixtures("two_threads")
def test_one_thread_on_the_cpu_while_a_trial_runs() -> None:
    runner = TrialRunner.from_task(make_task(), CPU)
    assert runner.run(job(policy())).device == "cpu, 1 thread"
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_one_thread_on_the_cpu_while_a_task_is_checked() -> None:
    assert rehearse(EngineSpec("iris-mlp", device="cpu")).seconds_per_epoch > 0
    assert torch.get_num_threads() == 2

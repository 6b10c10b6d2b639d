"""Steps that are replayed do what steps do: on the CPU with everything but the recording itself, on a GPU with that too."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunesearch.tasks import Task
from prunesearch.tasks.task import OPTIMIZERS
from prunesearch.training.data import Handling, Resident
from prunesearch.training.graphs import GRAPHED, WARM_UP, CudaCapture, GraphedStep, can_be_graphed
from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.optimizers import make_optimizer, set_rate

X = torch.randn(150, 1, 6, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(150) % 3
RATES = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Rerun:
    """Records by remembering: a replay runs the step again on the same memory, as a graph does."""

    def __init__(self) -> None:
        self.warmed = self.recorded = self.replayed = 0

    def warm(self, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        self.warmed += 1
        return step()

    def record(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        self.recorded += 1

        def replay() -> torch.Tensor:
            self.replayed += 1
            return step()

        return replay


class Runs(Rerun):
    """Records as torch does: the step's Python code runs once, and a replay does what it did then."""

    def record(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        step()
        return super().record(step)


class Refuses(Rerun):
    def record(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        raise RuntimeError("operation not permitted when stream is capturing")


def network(channels_last: bool) -> nn.Module:
    torch.manual_seed(1)
    made = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3))
    return made.to(memory_format=torch.channels_last) if channels_last else made


def trained(capture: Any, optimizer: str = "adam", channels_last: bool = False, device: str = "cpu") -> tuple[Any, list[float]]:
    """Three epochs with a mask that is kept, seven full batches and a smaller one each."""
    model = network(channels_last).to(device)
    how = Handling(20, torch.device(device), channels_last)
    made = make_optimizer(Task(model=nn.Identity, train=(X, Y), optimizer=optimizer, lr=1e-2), model, graphed=True)

    def keep() -> None:
        with torch.no_grad():
            model[0].weight[:2] = 0.0  # type: ignore[index]

    batches = Resident(X, Y, how)
    loop = Loop(model, made, functional.cross_entropy, batches, 5, keep, lambda: None, capture=capture)
    losses = [train_epoch(loop, epoch, RATES[: batches.steps]) for epoch in range(3)]
    return {name: t.cpu() for name, t in model.state_dict().items()}, losses


def assert_equal(one: Any, other: Any) -> None:
    assert one[1] == other[1]
    assert all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())


@pytest.mark.parametrize("optimizer", sorted(GRAPHED))
@pytest.mark.parametrize("channels_last", [False, True])
def test_replayed_steps_are_ordinary_ones_to_the_last_bit(optimizer: str, channels_last: bool) -> None:
    capture = Rerun()
    assert_equal(trained(capture, optimizer, channels_last), trained(None, optimizer, channels_last))
    full = 150 // 20
    assert (capture.warmed, capture.recorded, capture.replayed) == (3 * WARM_UP, 3, 3 * (full - WARM_UP))


def test_a_step_that_cannot_be_recorded_runs_without_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert_equal(trained(Refuses()), trained(None))
    assert "cannot be recorded as a CUDA graph: operation not permitted" in caplog.text


def test_inputs_are_copied_into_memory_that_stays() -> None:
    seen: list[int] = []

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(x.data_ptr())
        return x.sum() + y.sum()

    graphed = GraphedStep(step, Rerun())
    batches = [(torch.full((4, 2), float(i)), torch.full((4,), i)) for i in range(8)]
    losses = [graphed(x, y).item() for x, y in batches]
    assert losses == [12.0 * i for i in range(8)]
    assert len(set(seen[WARM_UP:])) == 1
    assert set(seen[WARM_UP:]).isdisjoint({x.data_ptr() for x, _ in batches})
    assert graphed(torch.ones(3, 2), torch.ones(3)).item() == 9.0


def test_a_rate_that_is_a_tensor_is_written_to() -> None:
    model = network(False)
    made = make_optimizer(Task(model=nn.Identity, train=(X, Y), lr=0.5), model, graphed=True)
    rate = made.param_groups[0]["lr"]
    set_rate(made, 0.25)
    assert made.param_groups[0]["lr"] is rate and float(rate) == 0.125
    assert made.param_groups[0]["base_lr"] == 0.5


def test_what_can_be_recorded() -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert {name for name in OPTIMIZERS if can_be_graphed(name, None, gpu)} == GRAPHED
    assert not can_be_graphed("adam", None, cpu)
    assert not can_be_graphed("adam", lambda: 0.0, gpu)
    assert not can_be_graphed(torch.optim.Adam, None, gpu)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("optimizer", sorted(GRAPHED))
def test_recorded_on_a_gpu_training_goes_the_same_way(optimizer: str) -> None:
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):  # type: ignore[attr-defined]
        backend.fp32_precision = "ieee"
    plain = trained(None, optimizer, device="cuda")
    recorded = trained(CudaCapture(torch.device("cuda")), optimizer, device="cuda")
    assert recorded[1][0] == pytest.approx(plain[1][0], rel=0.05)  # dropout draws otherwise in a graph
    assert recorded[1][-1] < recorded[1][0]
    assert torch.equal(recorded[0]["0.weight"][:2], torch.zeros_like(recorded[0]["0.weight"][:2]))


@pytest.mark.gpu
@needs_gpu
def test_a_replay_is_the_step_it_was_recorded_from() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 3).cuda()
    other = copy.deepcopy(model)
    tasks = [make_optimizer(Task(model=nn.Identity, train=(X, Y)), net, graphed=True) for net in (model, other)]

    def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        def one(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return one

    graphed, plain = GraphedStep(step(model, tasks[0]), CudaCapture(torch.device("cuda"))), step(other, tasks[1])
    for i in range(10):
        x, y = torch.randn(16, 8, device="cuda"), torch.randint(3, (16,), device="cuda")
        for optimizer in tasks:
            set_rate(optimizer, 1.0 / (i + 1))
        assert float(graphed(x, y)) == pytest.approx(float(plain(x, y)), abs=1e-6)
    assert torch.allclose(model.weight, other.weight, atol=1e-6)


@pytest.mark.parametrize("draw", [lambda: torch.rand(()), random.random, np.random.random], ids=["torch", "python", "numpy"])
def test_what_draws_on_the_cpu_is_not_recorded(draw: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    """A replay would draw the same again in every step."""
    capture, given = Runs(), (torch.zeros(2), torch.zeros(2))
    quiet, drawing = (GraphedStep(step, capture) for step in (lambda x, _: x.sum(), lambda x, _: x.sum() * float(draw())))
    for _ in range(WARM_UP + 2):
        quiet(*given)
    assert capture.replayed == 2
    for _ in range(WARM_UP + 2):
        drawing(*given)
    assert capture.replayed == 2
    assert "draws random numbers on the CPU" in caplog.text

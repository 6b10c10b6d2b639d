"""The loop does what a loop written by hand does, bit for bit; hooks, optimisers, losses, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunesearch.errors import TaskError
from prunesearch.models import mlp
from prunesearch.results import Timings
from prunesearch.tasks import Task
from prunesearch.tasks.task import LOSSES, OPTIMIZERS
from prunesearch.training.clock import Clock
from prunesearch.training.data import Handling, Resident
from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.losses import make_loss
from prunesearch.training.optimizers import make_optimizer, set_rate
from prunesearch.training.seeding import generator, seed_of

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(50) % 3
HOW = Handling(16, torch.device("cpu"))


def task(**fields: Any) -> Task:
    return Task(**{"model": lambda: mlp((4, 8, 3)), "train": (X, Y), **fields})


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def loop(model: nn.Module, **fields: Any) -> Loop:
    made = {
        "model": model,
        "optimizer": make_optimizer(task(), model),
        "loss": functional.cross_entropy,
        "batches": Resident(X, Y, HOW),
        "seed": 5,
        "after_step": lambda: None,
        "between": lambda: None,
    }
    return Loop(**{**made, **fields})


def by_hand(model: nn.Module, epoch: int, rates: list[float]) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(50, generator=generator(5, "order", epoch))
    torch.manual_seed(seed_of(5, "epoch", epoch))
    total = 0.0
    for i, rate in enumerate(rates):
        index = order[16 * i : 16 * i + 16]
        optimizer.param_groups[0]["lr"] = 1e-3 * rate
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X[index]), Y[index])
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(index)
    return total / 50


def test_an_epoch_is_that_of_a_loop_written_by_hand() -> None:
    ours, theirs, rates = network(), network(), [1.0, 0.5, 0.25, 0.1]
    loss = train_epoch(loop(ours), 3, rates)
    assert loss == pytest.approx(by_hand(theirs, 3, rates), rel=1e-6)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_epoch_is_a_function_of_state_seed_and_number_alone() -> None:
    ours, again, rates = network(), network(), [1.0] * 4
    torch.manual_seed(99)
    train_epoch(loop(ours), 0, rates)
    torch.manual_seed(7)
    train_epoch(loop(again), 0, rates)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), again.parameters(), strict=True))


def test_every_step_is_followed_by_its_calls() -> None:
    calls: list[str] = []
    model = network()
    made = loop(model, after_step=lambda: calls.append("step"), between=lambda: calls.append("between"))
    train_epoch(made, 0, [1.0] * 4)
    assert calls == ["step", "between"] * 4


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_no_number_shows_in_the_epochs(poison: float) -> None:
    class Poisoned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.calls = nn.Linear(4, 3), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            out: torch.Tensor = self.fc(x)
            return out * poison if self.calls == 2 else out

    assert not math.isfinite(train_epoch(loop(Poisoned()), 0, [1.0] * 4))


def test_a_loop_of_ones_own_is_guided_by_its_batches() -> None:
    seen: list[float] = []
    zeroed: list[str] = []

    def own(model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], optimizer: torch.optim.Optimizer) -> float:
        for x, y in batches:
            seen.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return 0.25

    made = loop(network(), own=own, after_step=lambda: zeroed.append("step"))
    assert train_epoch(made, 0, [1.0, 0.5, 0.25, 0.1]) == 0.25
    assert seen == pytest.approx([1e-3, 5e-4, 2.5e-4, 1e-4])
    assert zeroed == ["step"] * 4


def test_a_loop_of_ones_own_equals_ours() -> None:
    def own(model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], optimizer: torch.optim.Optimizer) -> float:
        for x, y in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return 0.0

    ours, theirs = network(), network()
    train_epoch(loop(ours), 0, [1.0, 0.5, 0.2, 0.1])
    train_epoch(loop(theirs, own=own), 0, [1.0, 0.5, 0.2, 0.1])
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_lowers_the_loss_and_takes_its_settings(name: str) -> None:
    model = mlp((4, 16, 3))
    recipe = task(optimizer=name, lr=1e-2, weight_decay=1e-4, momentum=0.8)
    optimizer = make_optimizer(recipe, model)
    made = loop(model, optimizer=optimizer)
    losses = [train_epoch(made, epoch, [1.0] * 4) for epoch in range(15)]
    assert losses[-1] < losses[0]
    assert optimizer.param_groups[0]["weight_decay"] == 1e-4
    if name in ("sgd", "rmsprop"):
        assert optimizer.param_groups[0]["momentum"] == 0.8


def test_groups_of_a_users_optimiser_keep_their_proportions() -> None:
    def two(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        first, *rest = parameters
        groups: list[dict[str, Any]] = [{"params": [first], "lr": 0.1}, {"params": rest}]
        return torch.optim.SGD(groups, lr=0.01)

    optimizer = make_optimizer(task(optimizer=two), mlp((4, 3)))
    set_rate(optimizer, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.005]


def test_a_users_optimiser_must_be_one() -> None:
    with pytest.raises(TaskError, match="optimizer returned list"):
        make_optimizer(task(optimizer=list), mlp((4, 3)))
    with pytest.raises(TaskError, match="optimizer: making it failed: TypeError"):
        make_optimizer(task(optimizer=lambda parameters: torch.optim.SGD(parameters, speed=1)), mlp((4, 3)))  # type: ignore[call-arg]


ALIGNED = {
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "smooth_l1": nn.SmoothL1Loss(),
    "bce_with_logits": nn.BCEWithLogitsLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_torchs_whatever_the_targets_shape(name: str) -> None:
    logits = torch.randn(6, 1)
    if name in ALIGNED:
        targets = torch.randint(0, 2, (6,))
        assert torch.equal(make_loss(name)(logits, targets), ALIGNED[name](logits.flatten(), targets.float()))
        return
    scores, classes = torch.randn(6, 3).log_softmax(1), torch.randint(0, 3, (6,))
    assert torch.allclose(make_loss(name)(scores, classes), functional.nll_loss(scores, classes), atol=1e-6)


def test_purposes_and_waiting_add_up_to_the_wall_time() -> None:
    now, waited, made_way = [100.0], [7.0], [0.0]
    clock = Clock({"wait": lambda: waited[0], "latency": lambda: made_way[0]}, clock=lambda: now[0])
    with clock.on("train"):
        now[0] += 20
        waited[0] += 15
    with clock.on("train"):
        now[0] += 10
    with clock.on("latency"):
        now[0] += 6
        made_way[0] += 2
    now[0] += 3
    assert vars(clock.timings()) == vars(Timings(train=15, wait=15, latency=6, other=3))
    assert clock.seconds == 39 - 15 - 2

"""Tasks with loaders, loops and optimisers of their own: some are functions of the epoch, others remember what they did."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunesearch import Task

DRAWN = torch.Generator().manual_seed(0)
X = torch.randn(240, 6, generator=DRAWN)
Y = (X[:, 0] + X[:, 1] > 0).long()
DATA = TensorDataset(X, Y)
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 2))


def task(**fields: Any) -> Task:
    loader = partial(DataLoader, DATA, batch_size=32, shuffle=True)
    held_out = partial(DataLoader, DATA, batch_size=60)
    return Task(**{"model": network, "train": loader, "val": held_out, "test": held_out, "epochs": 4, "lr": 1e-2, **fields})


def plain_loop(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, weight: float = 1.0) -> float:
    total = 0.0
    for x, y in batches:
        optimizer.zero_grad()
        loss = weight * nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(x)
    return total / len(X)


def loader() -> Task:
    """Its order follows torch's global generator, which is seeded for every epoch."""
    return task()


def loop() -> Task:
    return task(train_epoch=plain_loop)


def hidden_generator() -> Task:
    """The order of its batches goes on where the last epoch left it."""
    drawn = torch.Generator().manual_seed(1)
    return task(train=lambda: DataLoader(DATA, batch_size=32, shuffle=True, generator=drawn))


def hidden_counter() -> Task:
    """From its second epoch on, whichever that is, it trains otherwise; a fork in the same process would not notice."""
    seen: list[int] = []

    def counting(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> float:
        seen.append(1)
        return plain_loop(model, batches, optimizer, 1.0 if len(seen) == 1 else 0.5)

    return task(train_epoch=counting)


class Averaged(torch.optim.Optimizer):
    """Descends along a mean of the gradients, corrected for its start as Adam's are, by a step count of each parameter's own."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                kept = self.state[parameter]
                kept["mean"] = 0.9 * kept.get("mean", torch.zeros_like(parameter)) + 0.1 * parameter.grad
                parameter.data -= group["lr"] * kept["mean"] / (1 - 0.9 ** self.counted(group, kept))

    def counted(self, group: dict[str, Any], kept: dict[str, Any]) -> int:
        kept["step"] = kept.get("step", 0) + 1
        return int(kept["step"])


class AveragedByGroup(Averaged):
    """Counts in the group: what is no state of a parameter is in no snapshot."""

    def counted(self, group: dict[str, Any], kept: dict[str, Any]) -> int:
        group["step"] = group.get("step", 0) + (kept is self.state[group["params"][0]])
        return int(group["step"])


def optimizer() -> Task:
    return task(train=(X, Y), optimizer=Averaged)


def optimizer_counter() -> Task:
    return task(train=(X, Y), optimizer=AveragedByGroup)


def clock() -> Task:
    """Every run is another one."""
    return task(train_epoch=partial(plain_loop, weight=1.0 + time.time() % 1))


def failing() -> Task:
    def broken(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> float:
        raise RuntimeError("no such thing")

    return task(train_epoch=broken)


def passing() -> Task:
    """Its training fails as long as the file named by PASSING says so."""

    def unlucky(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> float:
        order = Path(os.environ["PASSING"])
        deed = order.read_text() if order.exists() else ""
        if deed == "memory":
            raise MemoryError
        if deed == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return plain_loop(model, batches, optimizer)

    return task(train_epoch=unlucky)


def trained() -> Task:
    torch.manual_seed(3)
    return task(weights=network().state_dict())

"""One training epoch: one plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from prunesearch.tasks.types import Batch, Loss, TrainEpoch
from prunesearch.training.data import Batches
from prunesearch.training.graphs import Capture, GraphedStep, Step
from prunesearch.training.optimizers import set_rate
from prunesearch.training.seeding import seed_everything


def nothing() -> None:
    """After a step of a network that is not pruned; between batches where nobody measures latency."""


@dataclass(frozen=True)
class Loop:
    """What a training epoch consists of, whatever the epoch.

    Args:
        model: on its device.
        optimizer: of the model's parameters, with `base_lr` in every group.
        loss: `(outputs, targets) -> mean loss`.
        batches: the training split.
        seed: of the trial.
        after_step: called after every step: keeps the masks.
        between: called between batches: lets a latency measurement have the device.
        own: the user's epoch, in place of ours.
        forward: `(model, inputs) -> outputs` in the run's number format.
        capture: records steps as CUDA graphs; None: every step runs from Python.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss
    batches: Batches
    seed: int
    after_step: Callable[[], None] = nothing
    between: Callable[[], None] = nothing
    own: TrainEpoch | None = None
    forward: Callable[[nn.Module, torch.Tensor], torch.Tensor] = nn.Module.__call__
    capture: Capture | None = None


def train_epoch(loop: Loop, epoch: int, rates: Iterable[float]) -> float:
    """Train one epoch.

    The global generators are seeded from (seed, epoch), so that the epoch is a function of the state that it starts
    from. The loss is summed on the device and read once: a nan or inf anywhere makes the result one.

    Args:
        loop: what is trained on what.
        epoch: whose data order and draws are used.
        rates: factor of the learning rate for every batch; where they end, the epoch does.

    Returns:
        Mean loss per example.
    """
    batches = loop.batches.shuffled(loop.seed, epoch)
    loop.model.train()
    if loop.own is not None:
        seed_everything(loop.seed, "epoch", epoch)
        return float(loop.own(loop.model, _guided(loop, batches, rates), loop.optimizer))
    total = torch.zeros((), device=next(loop.model.parameters()).device)
    count = 0
    seed_everything(loop.seed, "epoch", epoch)
    step: Step = partial(_step, loop)
    if loop.capture is not None:
        step = GraphedStep(step, loop.capture)
    for (x, y), rate in zip(batches, rates, strict=False):
        set_rate(loop.optimizer, rate)
        loss = step(x, y)
        loop.after_step()
        total.add_(loss, alpha=len(x))
        count += len(x)
        loop.between()
    return float(total) / max(1, count)


def _step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One step without a word to the device that would have to wait for it; the loss, detached."""
    loop.optimizer.zero_grad(set_to_none=True)
    loss = loop.loss(loop.forward(loop.model, x), y)
    loss.backward()
    loop.optimizer.step()
    return loss.detach()


def _guided(loop: Loop, batches: Iterator[Batch], rates: Iterable[float]) -> Iterator[Batch]:
    """Batches for the user's loop: advancing them sets the learning rate and keeps the masks."""
    for batch, rate in zip(batches, rates, strict=False):
        set_rate(loop.optimizer, rate)
        yield batch
        loop.after_step()
        loop.between()

"""Gradients for criteria that need them, measured without leaving a trace in the network, its norms or the generators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn

from prunesearch.errors import PolicyError
from prunesearch.pruning.running import modes_kept

Losses = Callable[[int], Iterable[torch.Tensor]]
"""Gives the scalar losses of n training batches, each computed when it is asked for."""


@contextmanager
def seeded(model: nn.Module, seed: int) -> Iterator[None]:
    """The global generators seeded inside, and as they were outside."""
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def traceless(model: nn.Module, seed: int) -> Iterator[None]:
    """Training mode with seeded generators; afterwards buffers, modes and generators are as they were."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with modes_kept(model), seeded(model, seed):
            model.train()
            yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def mean_gradients(
    model: nn.Module, names: Sequence[str], losses: Losses, batches: int, seed: int
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Mean gradient and mean squared gradient of the loss over some batches, in training mode.

    Args:
        model: the network.
        names: parameters that are asked for.
        losses: see `Losses`.
        batches: how many.
        seed: of the generators that dropout and augmentation draw from.

    Returns:
        Two mappings from parameter names to tensors of the parameter's shape.

    Raises:
        PolicyError: `losses` gives no batch, or no scalar.
    """
    parameters = dict(model.named_parameters())
    wanted = [parameters[name] for name in names if parameters[name].requires_grad]
    sums, squares, seen = [torch.zeros_like(p) for p in wanted], [torch.zeros_like(p) for p in wanted], 0
    with traceless(model, seed), torch.enable_grad():
        for loss in islice(losses(batches), batches):
            if loss.dim():
                raise PolicyError(f"`losses` has to give scalars, got a tensor of shape {tuple(loss.shape)}", "take its mean")
            _add(sums, squares, torch.autograd.grad(loss, wanted, allow_unused=True))
            seen += 1
    if not seen:
        raise PolicyError(f"`losses` gave none of the {batches} training batches asked for", "let it give at least one")
    names = [name for name in names if parameters[name].requires_grad]
    return _means(names, sums, seen), _means(names, squares, seen)


def _add(sums: list[torch.Tensor], squares: list[torch.Tensor], grads: Sequence[torch.Tensor | None]) -> None:
    for total, square, grad in zip(sums, squares, grads, strict=True):
        if grad is not None:
            total += grad
            square += grad * grad


def _means(names: Sequence[str], sums: Sequence[torch.Tensor], seen: int) -> dict[str, torch.Tensor]:
    return {name: total / seen for name, total in zip(names, sums, strict=True)}

"""What happens to what is left after a cut: values restored or drawn anew, norm statistics renewed, optimisers reset."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.gradients import Losses, seeded
from prunesearch.pruning.masks import Gone, kept_positions
from prunesearch.pruning.running import modes_kept
from prunesearch.pruning.structure import Group

Snapshot = dict[str, torch.Tensor]
"""Values of all parameters and buffers by name."""


def snapshot(model: nn.Module) -> Snapshot:
    """A copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in _tensors(model)}


@torch.no_grad()
def restore(model: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """Put the values back, in place: parameters keep their identity and strides, so that an optimiser still holds them."""
    for name, tensor in _tensors(model):
        if name in values:
            tensor.copy_(values[name])


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


@contextmanager
def swapped_in(model: nn.Module, values: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """The model with other values; afterwards with its own."""
    own = snapshot(model)
    restore(model, values)
    try:
        yield
    finally:
        restore(model, own)


@torch.no_grad()
def reinitialise(model: nn.Module, groups: Sequence[Group], gone: Gone, seed: int) -> tuple[str, ...]:
    """Draw all values anew, as the cut network would draw them: each fan-in is that of the smaller layer.

    A copy is cut, every module's `reset_parameters` is called on it, and the values are put where they belong in
    `model`; what is gone becomes zero. Norm statistics start anew. A constructor's own initialisation is not repeated.

    Returns:
        Parameters that kept their values, because no `reset_parameters` speaks for them.
    """
    small = copy.deepcopy(model)
    physical_cut(small, groups, gone)
    with seeded(model, seed):
        drawn = _reset(small)
    stays = kept_positions(dict(model.named_parameters()), groups, gone)
    values = dict(small.named_parameters())
    for name, parameter in model.named_parameters():
        _scatter(parameter, values[name], stays.get(name, {}))
    for module in model.modules():
        if isinstance(module, _NormBase) and module.track_running_stats:
            module.reset_running_stats()
    return tuple(name for name in values if name not in drawn)


def _reset(model: nn.Module) -> set[str]:
    """Call every module's `reset_parameters`, parts before the whole; the names of the parameters that are drawn by it.

    Those from which a parametrization computes a weight are not: what is drawn is lost when the weight is computed anew.
    """
    drawn: set[str] = set()
    for prefix, module in reversed(list(model.named_modules())):
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            drawn |= {f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()}
    return {name for name in drawn if "parametrizations" not in name.split(".")}


def _scatter(target: torch.Tensor, values: torch.Tensor, stays: Mapping[int, torch.Tensor]) -> None:
    """Write `values` to the positions that stay, zero elsewhere."""
    target.zero_()
    places = []
    for dim, width in enumerate(target.shape):
        index = stays.get(dim, torch.arange(width)).to(target.device)
        places.append(index.view([-1 if d == dim else 1 for d in range(target.dim())]))
    target[tuple(places)] = values.to(target.dtype)


@torch.no_grad()
def recalibrate(model: nn.Module, losses: Losses, batches: int, seed: int) -> None:
    """Replace running means and variances by their averages over training batches; only norms are in training mode.

    Modes and momenta are as before afterwards, also where `losses` raises.
    """
    norms = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    with modes_kept(model), seeded(model, seed):
        model.eval()
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the average over all batches, not the moving one
                norm.train()
            for _ in islice(losses(batches), batches if norms else 0):
                pass
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


@torch.no_grad()
def mask_moments(optimizer: Optimizer, parameters: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> None:
    """Zero the optimiser's moments where the masks do; step counts and the like stay."""
    for parameter, mask in zip(parameters, masks, strict=True):
        for value in optimizer.state.get(parameter, {}).values():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                value.mul_(mask)

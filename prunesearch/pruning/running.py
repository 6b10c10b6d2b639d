"""Running any network on its example input: one tensor, a tuple or list of arguments, or a mapping of keywords."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def forward(model: nn.Module, example: Any) -> Any:
    """The model's output on a copy of `example`, which it may change."""
    given = map_inputs(example, torch.clone)
    if isinstance(given, Mapping):
        return model(**given)
    return model(*given) if isinstance(given, tuple) else model(given)


def tensors_of(output: Any) -> list[torch.Tensor]:
    """All floating tensors in a network's output, whatever it is nested in."""
    if isinstance(output, torch.Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, Mapping):
        return [t for value in output.values() for t in tensors_of(value)]
    return [t for value in output for t in tensors_of(value)] if isinstance(output, (tuple, list)) else []


def map_inputs(example: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """`example` with every tensor changed."""
    if isinstance(example, torch.Tensor):
        return change(example)
    if isinstance(example, Mapping):
        return {key: map_inputs(value, change) for key, value in example.items()}
    return tuple(map_inputs(value, change) for value in example) if isinstance(example, (tuple, list)) else example


def inputs_of(example: Any) -> list[torch.Tensor]:
    """All tensors of `example`."""
    seen: list[torch.Tensor] = []

    def look(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor)
        return tensor

    map_inputs(example, look)
    return seen


def is_floating(example: Any) -> bool:
    """Whether all tensors of `example` are floating, so that other inputs can be drawn."""
    return all(t.is_floating_point() for t in inputs_of(example))


def is_constant(tensor: torch.Tensor) -> bool:
    """Whether all examples of a batch of two and more are the same."""
    return tensor.dim() > 0 and len(tensor) > 1 and torch.equal(tensor, tensor[:1].expand_as(tensor))


def drawn_like(example: Any, generator: torch.Generator, batch: int = 2) -> Any:
    """A batch of `batch` examples that the network may be given.

    Every number of a floating tensor is that of another example at the same place, chosen for each place alone, so that it
    stays where the network expects it: a logarithm sees nothing negative, a table of categories no unknown one. Standard
    normal where all examples are the same. Of other tensors the first example is repeated.
    """

    def draw(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or not tensor.is_floating_point():
            return tensor if tensor.dim() == 0 else tensor[:1].expand(batch, *tensor.shape[1:])
        shape = (batch, *tensor.shape[1:])
        if len(tensor) < 2 or is_constant(tensor):
            return torch.randn(shape, generator=generator).to(tensor)
        return tensor.gather(0, torch.randint(len(tensor), shape, generator=generator).to(tensor.device))

    return map_inputs(example, draw)


def to_float64(example: Any) -> Any:
    """`example` with every floating tensor in float64."""
    return map_inputs(example, lambda t: t.double() if t.is_floating_point() else t)


def outputs_in_float64(model: nn.Module, example: Any) -> list[torch.Tensor] | None:
    """`outputs` of a copy in float64; None where the network does not run in it, as with a `.float()` in its `forward`."""
    try:
        return outputs(copy.deepcopy(model).double(), to_float64(example))
    except Exception:  # noqa: BLE001 -- a user's forward may raise anything
        return None


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards every module is in the mode it was in, training or evaluation."""
    modes = {name: module.training for name, module in model.named_modules()}
    try:
        yield
    finally:
        for name, module in model.named_modules():
            module.training = modes.get(name, module.training)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    with modes_kept(model), torch.no_grad():
        model.eval()
        yield


def outputs(model: nn.Module, example: Any) -> list[torch.Tensor]:
    """The floating tensors that the network gives in evaluation mode."""
    with evaluating(model):
        return tensors_of(forward(model, example))


def largest_difference(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest |a - b| / max(1, largest |a|) over two lists of outputs; infinite where shapes or finiteness differ."""
    if [t.shape for t in one] != [t.shape for t in other]:
        return float("inf")
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        scale = max(1.0, float(a.abs().max())) if a.numel() else 1.0
        gap = float((a - b).abs().max()) / scale if a.numel() else 0.0
        worst = max(worst, gap) if gap == gap else float("inf")
    return worst

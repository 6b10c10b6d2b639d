"""Running any network on its example input: one tensor, a tuple or list of arguments, or a mapping of keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def forward(model: nn.Module, example: Any) -> Any:
    """The model's output on `example`."""
    if isinstance(example, Mapping):
        return model(**example)
    return model(*example) if isinstance(example, (tuple, list)) else model(example)


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


def is_floating(example: Any) -> bool:
    """Whether all tensors of `example` are floating, so that other inputs can be drawn."""
    seen: list[bool] = []

    def look(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor.is_floating_point())
        return tensor

    map_inputs(example, look)
    return all(seen)


def drawn_like(example: Any, generator: torch.Generator, batch: int = 2) -> Any:
    """A batch of `batch` examples: standard normal where `example` is floating, the first example repeated where not."""

    def draw(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or not tensor.is_floating_point():
            return tensor if tensor.dim() == 0 else tensor[:1].expand(batch, *tensor.shape[1:])
        return torch.randn(batch, *tensor.shape[1:], generator=generator).to(tensor)

    return map_inputs(example, draw)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    modes = {name: module.training for name, module in model.named_modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for name, module in model.named_modules():
            module.training = modes.get(name, module.training)


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

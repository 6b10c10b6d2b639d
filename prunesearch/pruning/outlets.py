"""Which layers make a network's output, and which parameters reach it: read from autograd's record of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from prunesearch.pruning.running import forward, tensors_of

PRODUCERS = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers that produce neurons or filters, and whose weights are pruned."""


def output_layers(model: nn.Module, example: Any) -> set[str]:
    """The Linear and Conv layers whose outputs reach the network's output without passing another one.

    Those of evaluation, and those of training where the network gives more then (auxiliary heads).

    Args:
        model: a private copy whose parameters ask for gradients; it is left in evaluation mode.
        example: its example input.

    Raises:
        Exception: whatever the network raises in evaluation mode.
    """
    found = _outlets(model.eval(), example)
    try:
        return found | _outlets(model.train(), example)
    except Exception:  # noqa: BLE001 -- norms refuse a batch of one in training mode; evaluation then stands
        return found
    finally:
        model.eval()


def reached_parameters(model: nn.Module, example: Any) -> set[str]:
    """The parameters on which the network's output depends in evaluation mode.

    Args:
        model: a private copy whose parameters ask for gradients; it is left in evaluation mode.
        example: its example input.
    """
    names = {parameter: name for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.enable_grad():
        total = sum((t.sum() for t in tensors_of(forward(model.eval(), example)) if t.requires_grad), torch.zeros(()))
        if not total.requires_grad:
            return set()
        grads: tuple[torch.Tensor | None, ...] = torch.autograd.grad(total, list(names), allow_unused=True)
    return {name for name, grad in zip(names.values(), grads, strict=True) if grad is not None}


def _outlets(model: nn.Module, example: Any) -> set[str]:
    names: dict[Any, str] = {}
    hooks = [m.register_forward_hook(_keeper(names, n)) for n, m in model.named_modules() if isinstance(m, PRODUCERS)]
    try:
        with torch.enable_grad():
            starts = [t.grad_fn for t in tensors_of(forward(model, example))]
            return set(_first_named(starts, names))
    finally:
        for hook in hooks:
            hook.remove()


def _keeper(names: dict[Any, str], name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        names[output.grad_fn] = name

    return hook


def _first_named(starts: list[Any], names: dict[Any, str]) -> Iterator[str]:
    work, seen = [s for s in starts if s is not None], set()
    while work:
        step = work.pop()
        if step in seen:
            continue
        seen.add(step)
        if step in names:
            yield names[step]
        else:
            work.extend(f for f, _ in step.next_functions if f is not None)

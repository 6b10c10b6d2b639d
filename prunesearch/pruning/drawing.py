"""Whether a network draws random numbers in training, as dropout does: a smaller network would draw others."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from prunesearch.pruning.gradients import traceless
from prunesearch.pruning.running import drawn_like, forward, inputs_of, is_floating


def draws_by_width(model: nn.Module, example: Any) -> bool:
    """Whether a training step draws more than one number per example, by a module or by a function such as `F.dropout`.

    Seen where torch runs the operations, so that it does not matter who calls them. One number per example, as stochastic
    depth draws it, is the same for every width. A network that does not run in training mode is taken for one that draws.

    Args:
        model: runs once in training mode; buffers, modes and generators are afterwards as they were.
        example: its example input.
    """
    inputs = drawn_like(example, torch.Generator().manual_seed(0)) if is_floating(example) else example
    seen = _Drawing(_examples(inputs))
    try:
        with traceless(model, 0), torch.no_grad(), seen:
            forward(model, inputs)
    except Exception:  # noqa: BLE001 -- whatever a foreign network raises in training mode
        return True
    return seen.drawn


class _Drawing(TorchDispatchMode):
    """Notices operations that draw more than `free` numbers from torch's generators."""

    def __init__(self, free: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.free, self.drawn = free, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        may = torch.Tag.nondeterministic_seeded in func.tags and not self.drawn
        before = _states() if may else []
        given = func(*args, **(kwargs or {}))
        if may and _largest(given) > self.free:  # attention carries the tag even where it drops nothing
            self.drawn = any(not torch.equal(a, b) for a, b in zip(before, _states(), strict=True))
        return given


def _states() -> list[torch.Tensor]:
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *on_gpu]


def _largest(given: Any) -> int:
    parts = given if isinstance(given, (tuple, list)) else (given,)
    return max((t.numel() for t in parts if isinstance(t, torch.Tensor)), default=0)


def _examples(inputs: Any) -> int:
    """Examples in a batch; 1 where no tensor has that many dimensions."""
    return max((len(t) for t in inputs_of(inputs) if t.dim()), default=1)

"""Norms that mix channels, in a masked network: their statistics are those of the channels that are left.

LayerNorm and GroupNorm take means over channels. A channel that is masked to zero still counts in such a mean, and in the
smaller network it does not, so masks alone give other outputs than the cut. While masks are in force these norms are
computed over the channels that are left; then masked equals cut for them too, in evaluation and in training.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from prunesearch.pruning.cut import removed
from prunesearch.pruning.masks import Gone
from prunesearch.pruning.structure import Group

MIXING = (nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class _OverWhatIsLeft:
    """A forward hook: the norm's output over the channels that are left, zero in the others."""

    kept: torch.Tensor
    """Their indices, where the norm is: fetching them in a forward pass would wait for a GPU."""

    def __call__(self, norm: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        x, dim, kept = inputs[0], channel_dim(norm), self.kept
        left = _narrowed(norm, kept).forward(x.index_select(dim, kept))
        return torch.zeros_like(output).index_copy(dim, kept, left)


def channel_dim(norm: nn.Module) -> int:
    """Where a norm's input has its channels.

    A LayerNorm with a `forward` of its own is taken for one with channels in front, (N, C, ...), as in ConvNeXt: there is
    no other reason to write one. The trial cut of every group tells if it is not.
    """
    return -1 if isinstance(norm, nn.LayerNorm) and type(norm).forward is nn.LayerNorm.forward else 1


def _narrowed(norm: nn.Module, kept: torch.Tensor) -> Any:
    """The same norm over fewer channels; its parameters are views of the norm's own, so that gradients reach them."""
    small = copy.copy(norm)
    own = norm.named_parameters(recurse=False)
    vars(small)["_parameters"] = dict.fromkeys(("weight", "bias")) | {name: p.index_select(0, kept) for name, p in own}
    if isinstance(small, nn.LayerNorm):
        small.normalized_shape = (len(kept),)
    elif isinstance(small, nn.GroupNorm):
        small.num_channels = len(kept)
    return small


def narrow_norms(model: nn.Module, groups: Iterable[Group], gone: Gone) -> list[RemovableHandle]:
    """Let the norms of `model` that mix channels look only at what is left, until the handles are removed.

    Args:
        model: the masked network.
        groups: its groups.
        gone: per group name, which units are gone.
    """
    handles = []
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    for (layer, side, _), lost in removed(groups, gone).items():
        norm = None if side == "parameter" else model.get_submodule(layer)
        if isinstance(norm, MIXING):
            kept = torch.ones(_width(norm), dtype=torch.bool)
            kept[lost] = False
            where = next((p.device for p in norm.parameters()), device)
            handles.append(norm.register_forward_hook(_OverWhatIsLeft(kept.nonzero().flatten().to(where))))
    return handles


def _width(norm: nn.Module) -> int:
    return norm.normalized_shape[0] if isinstance(norm, nn.LayerNorm) else int(norm.num_channels)  # type: ignore[arg-type]


@contextmanager
def narrowed_norms(model: nn.Module, groups: Iterable[Group], gone: Gone) -> Iterator[None]:
    """`narrow_norms`, for as long as the context lasts."""
    handles = narrow_norms(model, groups, gone)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

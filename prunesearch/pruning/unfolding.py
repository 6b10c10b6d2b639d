"""A pruned network in the numbering of the dense one, whether it is masked or physically smaller already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from prunesearch.pruning.masks import Gone, build_masks, kept_positions
from prunesearch.pruning.structure import Group

Tensors = dict[str, torch.Tensor]


@torch.no_grad()
def unfolded(model: nn.Module, dense: Mapping[str, torch.Tensor], groups: Sequence[Group], gone: Gone) -> tuple[Tensors, Tensors]:
    """Values and masks of all parameters in the dense network's shapes.

    Args:
        model: masked or cut by `gone`.
        dense: the parameters of the dense network; only their shapes count.
        groups: what the policy prunes.
        gone: which elements are gone, in the dense network's numbering.

    Returns:
        Copies of the values, zero where they are gone; and masks, bool, of the parameters from which something is gone.
    """
    masks = {name: mask.bool() for name, mask in build_masks(dense, groups, gone).items()}
    stays = kept_positions(dense, groups, gone)
    values = {n: _widened(p.detach().clone(), dense[n].shape, stays.get(n, {})) for n, p in model.named_parameters()}
    for name, mask in masks.items():
        values[name].masked_fill_(~mask.to(values[name].device), 0.0)
    return values, masks


def _widened(tensor: torch.Tensor, shape: torch.Size, stays: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """The tensor's entries at the positions where they were before the cut, zeros between them."""
    if tensor.shape == shape:
        return tensor
    for dim, index in stays.items():
        wide = [shape[dim] if i == dim else width for i, width in enumerate(tensor.shape)]
        tensor = tensor.new_zeros(wide).index_copy_(dim, index.to(tensor.device), tensor)
    return tensor

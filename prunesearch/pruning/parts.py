"""What a criterion is shown of a group: its tensors as matrices with one row per element that is still there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from prunesearch.criteria.base import Part
from prunesearch.pruning.structure import Group, Slice, UnitGroup

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Values:
    """A network's parameters by name, and what else criteria may need of them, in the same shapes.

    Args:
        weight: current values.
        initial: initial values.
        grad: mean gradients.
        grad_sq: mean squared gradients.
        initial_grad: mean gradients at the initial values.
    """

    weight: Tensors
    initial: Tensors | None = None
    grad: Tensors | None = None
    grad_sq: Tensors | None = None
    initial_grad: Tensors | None = None


def parts_of(group: Group, values: Values, left: torch.Tensor | None = None) -> list[Part]:
    """The parts of a group: one for weights, one per tensor for units.

    Args:
        group: the group.
        values: of the whole network.
        left: which elements are still there, (n,) bool; None: all. A criterion sees only these, so that it ranks a
            masked network exactly as it would rank the smaller one.
    """
    if isinstance(group, UnitGroup):
        return [_unit_part(s, group.info.size, values, left) for s in group.slices if s.role is not None]
    return [Part(group.tensors[0], "out", **_columns(values, group.tensors, left))]


def _columns(values: Values, names: tuple[str, ...], left: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Each kind of value as one column, (n, 1)."""

    def column(tensors: Tensors) -> torch.Tensor:
        flat = torch.cat([tensors[name].detach().flatten() for name in names])
        return (flat if left is None else flat[left]).unsqueeze(1)

    return {kind: column(tensors) for kind, tensors in _kinds(values, names).items()}


def _unit_part(piece: Slice, size: int, values: Values, left: torch.Tensor | None) -> Part:
    def matrix(tensors: Tensors) -> torch.Tensor:
        rows = _rows(tensors[piece.name].detach(), piece, size)
        return rows if left is None else rows[left.to(rows.device)]

    shown = {kind: matrix(tensors) for kind, tensors in _kinds(values, (piece.name,)).items()}
    return Part(piece.name, piece.role or "out", **shown)


def _kinds(values: Values, names: tuple[str, ...]) -> dict[str, Tensors]:
    """The kinds of values that are known of all these parameters; frozen ones have no gradients."""
    known: dict[str, Tensors | None] = vars(values)
    return {kind: tensors for kind, tensors in known.items() if tensors is not None and all(n in tensors for n in names)}


def _rows(tensor: torch.Tensor, piece: Slice, size: int) -> torch.Tensor:
    """(n, m): everything of `tensor` that belongs to each unit.

    A unit may own several positions (the columns of a flattened image, the halves of a gated layer), and not all units
    as many: rows are then filled up with zeros, which add nothing to any norm, product or distance.
    """
    entries = tensor.movedim(piece.dim, 0).flatten(1) if tensor.dim() > 1 else tensor.unsqueeze(1)  # (width, rest)
    element = piece.element
    if len(element) == size and bool((element == torch.arange(size)).all()):
        return entries[piece.index.to(tensor.device)]
    order = torch.argsort(element, stable=True)
    counts = torch.bincount(element, minlength=size)
    rank = torch.arange(len(element)) - (counts.cumsum(0) - counts)[element[order]]
    rows = entries.new_zeros(size, int(counts.max()), entries.shape[1])
    rows[element[order].to(tensor.device), rank.to(tensor.device)] = entries[piece.index[order].to(tensor.device)]
    return rows.flatten(1)

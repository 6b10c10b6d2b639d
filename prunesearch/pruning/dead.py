"""Dead parts of a network that was pruned by weights: units that emit a constant, or that nobody reads, leave physically.

A unit whose incoming weights are all zero emits the same value whatever goes in; a unit whose outgoing weights are all
zero is not read. The second leave as they are. The first leave where what they emit can be added to the biases of the
layers that read them: exact without zero padding in between (2e-7 in float32), wrong by .12 with it. Removing one may
make others dead, so it is repeated until nothing changes. The result is compared with the network as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.norms import MIXING
from prunesearch.pruning.probe import TOLERANCE
from prunesearch.pruning.running import drawn_like, is_floating, largest_difference, map_inputs, outputs
from prunesearch.pruning.structure import Groups, Share, Slice, UnitGroup

_READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Dead:
    """What was removed.

    Args:
        units: per group, how many units were removed; groups without any are not there.
        folded: how many of them emitted something, which the next biases now hold.
        params: elements of all parameter tensors, before and after.
        difference: largest |before - after| / max(1, largest |output|), in float64.
    """

    units: Mapping[str, int]
    folded: int
    params: tuple[int, int]
    difference: float


def remove_dead(model: nn.Module, groups: Groups, example: Any) -> Dead:
    """Remove dead units from `model`, in place; its outputs in evaluation stay what they are.

    Biases take up what units emitted, so the network is meant to be used, not trained on. Where the comparison at the end
    fails the network is left as it was.

    Args:
        model: pruned by weights, not cut: of the shapes for which the groups were found.
        groups: the groups of its class.
        example: an example batch.
    """
    search = _Search.begin(model, groups, example)
    before, size = outputs(search.model, search.inputs), _size(model)
    folded = 0
    while (found := search.round()) is not None:
        folded += found
    units = {name: int(gone.sum()) for name, gone in search.lost.items() if bool(gone.any())}
    biases = {name: p.detach().clone() for name, p in search.model.named_parameters() if name.endswith("bias")}
    physical_cut(search.model, search.groups, search.lost)
    difference = largest_difference(before, outputs(search.model, search.inputs))
    if not units or difference > TOLERANCE:
        return Dead({}, 0, (size, size), 0.0)
    with torch.no_grad():
        for name, value in biases.items():
            model.get_parameter(name).copy_(value)
    physical_cut(model, search.groups, search.lost)
    return Dead(units, folded, (size, _size(model)), difference)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@dataclass(frozen=True)
class _Constant:
    """What a unit gives to one layer, always: `values` in its input channels `index`."""

    layer: str
    index: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True)
class _Search:
    """A float64 copy of the network, in which what is dead is masked round by round.

    Args:
        model: the copy.
        groups: those whose units may go.
        inputs: on which it is run.
        drawn: whether the inputs are random ones, on which what depends on them shows.
        lost: per group, what is dead, (n,) bool.
    """

    model: nn.Module
    groups: tuple[UnitGroup, ...]
    inputs: Any
    drawn: bool
    lost: dict[str, torch.Tensor]

    @classmethod
    def begin(cls, model: nn.Module, groups: Groups, example: Any) -> _Search:
        """Before the first round."""
        open_groups = tuple(g for g in groups.units if g.info.spared is None and not _mixes(model, g))
        drawn = is_floating(example)
        inputs = drawn_like(example, torch.Generator().manual_seed(0), batch=4) if drawn else example
        exact = map_inputs(inputs, lambda t: t.double() if t.is_floating_point() else t)
        lost = {g.name: torch.zeros(g.info.size, dtype=torch.bool) for g in open_groups}
        return cls(copy.deepcopy(model).double().eval(), open_groups, exact, drawn, lost)

    def round(self) -> int | None:
        """Mask what is dead now and fold what it emits; how many were folded, or None where nothing is dead any more."""
        given = self._given()
        counts = [self._removed(group, given) for group in self.groups]
        return sum(folded for _, folded in counts) if any(gone for gone, _ in counts) else None

    def _removed(self, group: UnitGroup, given: Mapping[str, torch.Tensor]) -> tuple[int, int]:
        """How many units of a group are masked now, and how many of those were folded."""
        lost, folded = self.lost[group.name], 0
        unread = self._all_zero([s for s in group.slices if s.role == "in"], group.info.size)
        silent = self._all_zero([s for s in group.slices if s.role == "out" and self._mixes_inputs(s)], group.info.size)
        gone = 0
        for unit in ((unread | silent) & ~lost).nonzero().flatten().tolist():
            constants = [] if bool(unread[unit]) else self._constants(group, unit, given)
            if constants is None or int((~lost).sum()) == 1:  # one stays, so that no layer is left without units
                continue
            folded += self._fold(constants)
            lost[unit], gone = True, gone + 1
        apply_masks(self.model, build_masks(dict(self.model.named_parameters()), [group], {group.name: lost}))
        return gone, folded

    def _given(self) -> dict[str, torch.Tensor]:
        """What every layer that reads some units is given; nothing for one that runs twice."""
        seen: dict[str, list[torch.Tensor]] = {}
        layers = {s.layer for g in self.groups for s in g.shares if s.side == "in"}

        def watch(name: str) -> Any:
            return lambda _module, given: seen.setdefault(name, []).extend(t.detach() for t in given[:1])

        handles = [self.model.get_submodule(name).register_forward_pre_hook(watch(name)) for name in layers]
        try:
            outputs(self.model, self.inputs)
        finally:
            for handle in handles:
                handle.remove()
        return {name: tensors[0] for name, tensors in seen.items() if len(tensors) == 1}

    def _mixes_inputs(self, piece: Slice) -> bool:
        """Whether the layer makes its units from others; a depthwise convolution only passes them on."""
        layer = self.model.get_submodule(piece.name.rpartition(".")[0])
        return getattr(layer, "groups", 1) == 1 or getattr(layer, "groups", 1) != getattr(layer, "in_channels", 1)

    def _all_zero(self, pieces: Iterable[Slice], size: int) -> torch.Tensor:
        """(n,) bool: units that own nothing but zeros in these tensors."""
        zero = torch.ones(size, dtype=torch.bool)
        for piece in pieces:
            rows = self.model.get_parameter(piece.name).detach().movedim(piece.dim, 0).flatten(1)
            zero[piece.element[rows[piece.index.to(rows.device)].any(1).cpu()]] = False
        return zero

    def _constants(self, group: UnitGroup, unit: int, given: Mapping[str, torch.Tensor]) -> list[_Constant] | None:
        """What the unit gives to each of its readers; None where it is not constant, or cannot be folded exactly."""
        found = []
        for share in group.shares:
            if share.side == "in" and bool((share.element == unit).any()):
                constant = self._constant(share, unit, given.get(share.layer))
                if constant is None:
                    return None
                found.append(constant)
        return found

    def _constant(self, share: Share, unit: int, given: torch.Tensor | None) -> _Constant | None:
        reader = self.model.get_submodule(share.layer)
        if given is None or not isinstance(reader, _READERS):
            return None
        index = share.index[share.element == unit].to(given.device)
        rows = given.movedim(-1 if isinstance(reader, nn.Linear) else 1, 0).index_select(0, index).flatten(1)
        same = bool((rows == rows[:, :1]).all())
        if not same or (bool(rows.any()) and not (self.drawn and _folds(reader))):
            return None
        return _Constant(share.layer, index, rows[:, 0])

    @torch.no_grad()
    def _fold(self, constants: Iterable[_Constant]) -> int:
        """Add to the readers' biases what the unit gives them; 1 where it gave anything but zero."""
        folded = 0
        for constant in constants:
            if bool(constant.values.any()):
                folded = 1
                _add_to_bias(self.model.get_submodule(constant.layer), constant)
        return folded


def _mixes(model: nn.Module, group: UnitGroup) -> bool:
    """Whether the units pass a norm in whose means a constant counts."""
    return any(s.side != "parameter" and isinstance(model.get_submodule(s.layer), MIXING) for s in group.shares)


def _folds(reader: nn.Module) -> bool:
    """Whether a constant input is a constant in the output that a bias can hold."""
    if getattr(reader, "bias", None) is None:
        return False
    padding = getattr(reader, "padding", 0)
    padded = padding != "valid" if isinstance(padding, str) else padding not in (0, (0,), (0, 0), (0, 0, 0))
    return not padded or getattr(reader, "padding_mode", "zeros") != "zeros"


def _add_to_bias(reader: nn.Module, constant: _Constant) -> None:
    weight, bias = reader.get_parameter("weight"), reader.get_parameter("bias")
    columns = weight.flatten(2).sum(2) if weight.dim() > 2 else weight  # (out, in / groups)
    width, height = columns.shape[1], len(columns) // int(getattr(reader, "groups", 1))
    for position, value in zip(constant.index.tolist(), constant.values, strict=True):
        part, column = divmod(position, width)  # in a grouped convolution, `part` is the group that reads the channel
        rows = slice(part * height, (part + 1) * height)
        bias[rows] += columns[rows, column] * value

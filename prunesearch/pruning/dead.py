"""Dead parts of a network that was pruned by weights: units that emit a constant, or that nobody reads, leave physically.

A unit whose incoming weights are all zero emits the same value whatever goes in; a unit whose outgoing weights are all
zero is not read. The second leave as they are. The first leave where what they emit can be added to the biases of the
layers that read them: exact without zero padding in between (2e-7 in float32), wrong by .12 with it. Removing one may
make others dead, so it is repeated until nothing changes. The result is compared with the network as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.norms import MIXING
from prunesearch.pruning.probe import TOLERANCE
from prunesearch.pruning.running import drawn_like, is_floating, largest_difference, outputs, outputs_in_float64, to_float64
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

    def __str__(self) -> str:
        """In words: `removed 37 dead units: fc1 30, fc2 7; 2 folded into biases`."""
        count = sum(self.units.values())
        places = ", ".join(f"{name} {units}" for name, units in self.units.items())
        folded = f"; {self.folded} folded into biases" if self.folded else ""
        return f"removed {count} dead {'unit' if count == 1 else 'units'}: {places}{folded}"


def remove_dead(model: nn.Module, groups: Groups, example: Any, layers: Collection[str] | None = None) -> Dead:
    """Remove dead units from `model`, in place; its outputs in evaluation stay what they are.

    Biases take up what units emitted, so the network is meant to be used, not trained on. Where the comparison at the end
    fails, or the network does not run in float64, it is left as it was.

    Args:
        model: pruned by weights, not cut: of the shapes for which the groups were found.
        groups: the groups of its class.
        example: an example batch.
        layers: names of the Linear and Conv layers that may lose units; None: all whose units are not spared.
    """
    size = _size(model)
    open_groups = [g for g in groups.units if g.info.spared is None and not _mixes(model, g)]
    if layers is not None:
        open_groups = [g for g in open_groups if set(g.layers) <= set(layers)]
    if not any(bool((_unread(model, g) | _silent(model, g)).any()) for g in open_groups):
        return Dead({}, 0, (size, size), 0.0)
    other = _inputs(example, seed=1, batch=8)  # not those that the search looks at
    whole = outputs_in_float64(model, other)
    if whole is None:
        return Dead({}, 0, (size, size), 0.0)
    search = _Search.begin(model, open_groups, example)
    folded = sum(search.rounds())
    units = {name: int(gone.sum()) for name, gone in search.lost.items() if bool(gone.any())}
    if not units:
        return Dead({}, 0, (size, size), 0.0)
    biases = {name: p.detach().clone() for name, p in search.model.named_parameters() if name.endswith("bias")}
    physical_cut(search.model, open_groups, search.lost)
    difference = largest_difference(whole, outputs(search.model, other))
    if difference > TOLERANCE:
        return Dead({}, 0, (size, size), 0.0)
    with torch.no_grad():
        for name, value in biases.items():
            model.get_parameter(name).copy_(value)
    physical_cut(model, open_groups, search.lost)
    return Dead(units, folded, (size, _size(model)), difference)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _inputs(example: Any, seed: int, batch: int) -> Any:
    """Drawn inputs in float64, or the example where none can be drawn."""
    return to_float64(drawn_like(example, torch.Generator().manual_seed(seed), batch) if is_floating(example) else example)


def _mixes(model: nn.Module, group: UnitGroup) -> bool:
    """Whether the units pass a norm in whose means a constant counts."""
    return any(s.side != "parameter" and isinstance(model.get_submodule(s.layer), MIXING) for s in group.shares)


def _unread(model: nn.Module, group: UnitGroup) -> torch.Tensor:
    """(n,) bool: units that reach others through zeros only."""
    return _all_zero(model, [s for s in group.slices if s.role == "in"], group.info.size)


def _silent(model: nn.Module, group: UnitGroup) -> torch.Tensor:
    """(n,) bool: units that others reach through zeros only."""
    return _all_zero(model, [s for s in group.slices if s.role == "out" and _mixes_inputs(model, s)], group.info.size)


def _mixes_inputs(model: nn.Module, piece: Slice) -> bool:
    """Whether the layer makes its units from others; a depthwise convolution only passes them on."""
    layer = model.get_submodule(piece.name.rpartition(".")[0])
    return getattr(layer, "groups", 1) == 1 or getattr(layer, "groups", 1) != getattr(layer, "in_channels", 1)


def _all_zero(model: nn.Module, pieces: Iterable[Slice], size: int) -> torch.Tensor:
    """(n,) bool: units that own nothing but zeros in these tensors."""
    zero = torch.ones(size, dtype=torch.bool)
    for piece in pieces:
        tensor = model.get_parameter(piece.name).detach()
        used = (tensor != 0).movedim(piece.dim, 0).flatten(1).any(1).cpu()
        zero[piece.element[used[piece.index]]] = False
    return zero


@dataclass(frozen=True)
class _Told:
    """What units tell one layer: per position of `share`, one value of it."""

    share: Share
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
        kept: per group, what has nothing to say and stays, for it cannot be folded, (n,) bool.
    """

    model: nn.Module
    groups: list[UnitGroup]
    inputs: Any
    drawn: bool
    lost: dict[str, torch.Tensor]
    kept: dict[str, torch.Tensor]

    @classmethod
    def begin(cls, model: nn.Module, groups: list[UnitGroup], example: Any) -> _Search:
        """Before the first round."""
        lost, kept = ({g.name: torch.zeros(g.info.size, dtype=torch.bool) for g in groups} for _ in range(2))
        inputs = _inputs(example, seed=0, batch=8)
        return cls(copy.deepcopy(model).double().eval(), groups, inputs, is_floating(example), lost, kept)

    def rounds(self) -> Iterator[int]:
        """Mask what is dead, and what is dead without it; how many units were folded, round by round."""
        while True:
            given: dict[str, torch.Tensor] = {}
            counts = [self._removed(group, given) for group in self.groups]
            if not any(gone for gone, _ in counts):
                return
            yield sum(folded for _, folded in counts)

    def _removed(self, group: UnitGroup, given: dict[str, torch.Tensor]) -> tuple[int, int]:
        """How many units of a group are masked now, and how many of those were folded."""
        lost, kept, unread = self.lost[group.name], self.kept[group.name], _unread(self.model, group) & ~self.lost[group.name]
        silent = _silent(self.model, group) & ~unread & ~lost & ~kept
        told, steady = self._told(group, given) if bool(silent.any()) else ([], silent)
        kept |= silent & ~steady
        gone = unread | (silent & steady)
        if bool((lost | gone).all()):  # one stays, so that no layer is left without units
            gone[gone.nonzero().max()] = False
        folded = self._fold(told, gone & silent)
        lost |= gone
        apply_masks(self.model, build_masks(dict(self.model.named_parameters()), [group], {group.name: gone}))
        return int(gone.sum()), folded

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

    def _told(self, group: UnitGroup, given: dict[str, torch.Tensor]) -> tuple[list[_Told], torch.Tensor]:
        """What the units tell their readers, and (n,) bool: those that always tell the same, and can be folded exactly."""
        given.update({} if given else self._given())
        found, steady = [], torch.ones(group.info.size, dtype=torch.bool)
        for share in (s for s in group.shares if s.side == "in"):
            reader, inputs = self.model.get_submodule(share.layer), given.get(share.layer)
            if inputs is None or not isinstance(reader, _READERS):
                steady[share.element] = False
                continue
            rows = inputs.movedim(-1 if isinstance(reader, nn.Linear) else 1, 0)[share.index.to(inputs.device)].flatten(1)
            exact = (rows == rows[:, :1]).all(1)
            if not (self.drawn and _folds(reader)):
                exact &= ~rows.any(1)
            steady[share.element[~exact.cpu()]] = False
            found.append(_Told(share, rows[:, 0]))
        return found, steady

    @torch.no_grad()
    def _fold(self, told: Iterable[_Told], units: torch.Tensor) -> int:
        """Add to the readers' biases what the units tell them; how many told anything but zero."""
        spoke = torch.zeros_like(units)
        for each in told:
            share, loud = each.share, units[each.share.element] & (each.values != 0).cpu()
            if bool(loud.any()):
                spoke[share.element[loud]] = True
                _add_to_bias(self.model.get_submodule(share.layer), share.index[loud], each.values[loud.to(each.values.device)])
        return int(spoke.sum())


def _folds(reader: nn.Module) -> bool:
    """Whether a constant input is a constant in the output that a bias can hold."""
    if getattr(reader, "bias", None) is None:
        return False
    padding = getattr(reader, "padding", 0)
    padded = padding != "valid" if isinstance(padding, str) else padding not in (0, (0,), (0, 0), (0, 0, 0))
    return not padded or getattr(reader, "padding_mode", "zeros") != "zeros"


def _add_to_bias(reader: nn.Module, index: torch.Tensor, values: torch.Tensor) -> None:
    """Let the bias hold what input channels `index` give, always `values`."""
    weight, bias = reader.get_parameter("weight"), reader.get_parameter("bias")
    columns = weight.flatten(2).sum(2) if weight.dim() > 2 else weight  # (out, in / groups)
    parts, width = int(getattr(reader, "groups", 1)), columns.shape[1]
    inputs = columns.new_zeros(parts * width)
    inputs[index.to(inputs.device)] = values
    bias.add_(torch.einsum("pow,pw->po", columns.view(parts, -1, width), inputs.view(parts, width)).flatten())

"""`find_groups`: what can be pruned in a network, and what cannot and why."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, Literal

import torch
from torch import nn
from torch_pruning.ops import OPTYPE

from prunesearch.criteria.base import Role
from prunesearch.errors import TaskError, did_you_mean, first_line
from prunesearch.fitting import matches
from prunesearch.pruning.drawing import draws_by_width
from prunesearch.pruning.gradients import seeded
from prunesearch.pruning.outlets import PRODUCERS, output_layers, reached_parameters
from prunesearch.pruning.probe import verified
from prunesearch.pruning.structure import (
    AnyGroup,
    Group,
    Groups,
    Share,
    Slice,
    UnitGroup,
    WeightGroup,
    level_of,
    spared_for,
)
from prunesearch.pruning.trace import Closure, Touched, closures
from prunesearch.results import GroupInfo

__all__ = ["Group", "Groups", "UnitGroup", "WeightGroup", "find_groups", "level_of"]


def find_groups(model: nn.Module, example_input: Any, *, spare: Iterable[str] = ()) -> Groups:
    """The groups of a network: of weights, one per Linear and Conv, and of units, all that has to go together.

    Every unit group is cut once in a copy and compared with its masked form before it is offered; what cannot be traced
    or cut, and the network's outputs, are spared, with the reason.

    Args:
        model: the network; it is left as it is.
        example_input: an example batch: a tensor, a tuple of arguments, or a mapping of keywords.
        spare: names or globs of groups that are never pruned.

    Raises:
        TaskError: a glob in `spare` matches nothing, or the network does not run on its example input.
    """
    with seeded(model, 0):  # dropout and the like draw from the global generators, which stay as they were
        network = _private_copy(model)
        weights = _weight_groups(network, _outlets(network, example_input))
        units = _unit_groups(network, example_input)
        globs = tuple(spare)
        every: list[Group] = [*weights, *units]
        for glob in globs:
            if not any(matches(g.info, (glob,)) for g in every):
                raise TaskError(f"spare: '{glob}' matches no group", did_you_mean(glob, [g.name for g in every]))
        proved = verified(network, example_input, _sparing(units, globs))
        return Groups(_sparing(weights, globs), proved, draws_by_width(network, example_input))


def _private_copy(model: nn.Module) -> nn.Module:
    network = copy.deepcopy(model)
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return network.eval()


def _outlets(network: nn.Module, example: Any) -> set[str]:
    """The output layers; where autograd does not say, the last Linear or Conv."""
    try:
        found = output_layers(network, example)
    except Exception as error:
        raise TaskError(f"the network does not run on its example input: {first_line(error)}") from error
    return found or set(_producers(network)[-1:])


def _producers(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, PRODUCERS)]


def _sparing(groups: Sequence[AnyGroup], globs: tuple[str, ...]) -> tuple[AnyGroup, ...]:
    return tuple(spared_for(g, "spared by the task") if matches(g.info, globs) else g for g in groups)


def _weight_groups(network: nn.Module, finals: set[str]) -> list[WeightGroup]:
    """One group per Linear and Conv that owns its weight; shared weights stand once, under their first name."""
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    groups = []
    for layer in _producers(network):
        weight, bias = _joined(layer, "weight"), _joined(layer, "bias")
        if weight in sizes:
            reason = "it is the output layer" if layer in finals else None
            info = GroupInfo(layer, "weight", (weight,), sizes[weight], sizes[weight], reason, output=layer in finals)
            groups.append(WeightGroup(info, (weight,), bias if bias in sizes else None))
    return groups


def _unit_groups(network: nn.Module, example: Any) -> list[UnitGroup]:
    try:
        found = [_unit_group(network, closure) for closure in closures(network, example)]
    except Exception as error:  # noqa: BLE001 -- tracing foreign networks raises anything (ZeroDivisionError on channel shuffles)
        return [_untraced(network, name, f"the network cannot be traced: {first_line(error)}") for name in _producers(network)]
    finally:
        network.eval()
    seen = {layer for group in found for layer in group.layers}
    unseen = [name for name in _producers(network) if name not in seen]
    used = reached_parameters(network, example) if unseen else set()
    missed = [_untraced(network, name, _unseen(network, name, used)) for name in unseen]
    order = {name: i for i, name in enumerate(_producers(network))}
    return sorted([*_once(found), *missed], key=lambda group: order[group.name])


def _once(groups: Iterable[UnitGroup]) -> list[UnitGroup]:
    """One group per name: where a trace has lost its way, the rest of a layer's channels would stand beside it."""
    named: dict[str, UnitGroup] = {}
    for group in groups:
        named.setdefault(group.name, group)
    return list(named.values())


def _unit_group(network: nn.Module, closure: Closure) -> UnitGroup:
    order = {name: i for i, name in enumerate(_producers(network))}
    made = {t.layer for t in closure.touched if t.side == "out" and t.layer in order}
    layers = tuple(sorted(made, key=order.__getitem__))
    parameters = dict(network.named_parameters())
    named = dict(network.named_parameters(remove_duplicate=False))
    slices, reason = [], closure.blocked
    for touched in closure.touched:
        for piece in _slices(network, touched):
            reason = reason or _foreign(piece.name, named)
            if piece.name in parameters:
                slices.append(piece)
    reason = reason or ("it is a single unit" if closure.size == 1 else None)
    members = tuple(dict.fromkeys(s.name for s in slices))
    norm = any(s.role == "norm_scale" for s in slices)
    owned = _owned(slices, parameters)
    info = GroupInfo(layers[0], _kind(network, layers[0]), members, closure.size, owned, reason, layers, norm)
    return UnitGroup(info, tuple(slices), tuple(_share(t) for t in closure.touched))


def _unseen(network: nn.Module, layer: str, used: set[str]) -> str:
    owner = network.get_submodule(layer.rpartition(".")[0])
    if isinstance(owner, nn.MultiheadAttention):
        return "it is part of a MultiheadAttention, whose parts cannot be cut one by one"
    if _joined(layer, "weight") in used:
        return "the network uses its weights without calling it, so its outputs cannot be traced"
    return "the network does not call it on the example input"


def _untraced(network: nn.Module, layer: str, reason: str) -> UnitGroup:
    module = network.get_submodule(layer)
    width = module.out_features if isinstance(module, nn.Linear) else module.out_channels
    members = tuple(_joined(layer, name) for name, _ in module.named_parameters(recurse=False))
    size = width if isinstance(width, int) else 0
    return UnitGroup(GroupInfo(layer, _kind(network, layer), members, size, 0, reason, (layer,)), (), ())


def _kind(network: nn.Module, layer: str) -> Literal["neuron", "filter"]:
    return "neuron" if isinstance(network.get_submodule(layer), nn.Linear) else "filter"


def _slices(network: nn.Module, touched: Touched) -> list[Slice]:
    """The tensor entries behind some channels of one layer."""
    index, element = torch.tensor(touched.index, dtype=torch.long), torch.tensor(touched.element, dtype=torch.long)
    if touched.side == "parameter":
        return [Slice(touched.layer, None, touched.dim, index, element)]
    module = network.get_submodule(touched.layer)
    found = []
    for attribute, role, dim in _tensors(module, touched):
        if getattr(module, attribute, None) is not None:
            if role == "in" and touched.kind == OPTYPE.CONV:  # a grouped convolution holds in/G columns; the first group's
                first = index < module.get_parameter(attribute).shape[dim]
                index, element = index[first], element[first]
            found.append(Slice(_joined(touched.layer, attribute), role, dim, index, element))
    return found


def _tensors(module: nn.Module, touched: Touched) -> list[tuple[str, Role | None, int]]:
    """The tensors of a layer that hold one side of its channels: attribute, role, dimension."""
    turned = int(bool(getattr(module, "transposed", False)) and touched.kind == OPTYPE.CONV)
    match touched.kind:
        case OPTYPE.CONV | OPTYPE.LINEAR:
            if touched.side == "in":
                return [("weight", "in", 1 - turned)]
            return [("weight", "out", turned), ("bias", "bias", 0)]
        case OPTYPE.DEPTHWISE_CONV:
            return [("weight", "out", 0), ("bias", "bias", 0)]
        case OPTYPE.BN | OPTYPE.IN | OPTYPE.LN | OPTYPE.GN:
            return [("weight", "norm_scale", 0), ("bias", "norm_shift", 0)]
        case OPTYPE.EMBED:
            return [("weight", "out", 1)]
        case OPTYPE.PRELU:
            return [("weight", None, 0)] if module.num_parameters != 1 else []  # one slope for all channels
    return []


def _share(touched: Touched) -> Share:
    index, element = torch.tensor(touched.index, dtype=torch.long), torch.tensor(touched.element, dtype=torch.long)
    return Share(touched.layer, touched.side, touched.dim, index, element)


def _foreign(name: str, named: dict[str, nn.Parameter]) -> str | None:
    """Why a tensor cannot be masked by name: it is computed from others, or two layers share it."""
    if name not in named:
        return f"{name} is computed, not a parameter"
    owners = [other for other, parameter in named.items() if parameter is named[name]]
    return f"{' and '.join(owners)} are one tensor" if len(owners) > 1 else None


def _owned(slices: Sequence[Slice], parameters: dict[str, nn.Parameter]) -> int:
    """Entries that go when the whole group goes; a tensor may lose rows and columns."""
    kept: dict[str, list[float]] = {}
    for s in slices:
        kept.setdefault(s.name, []).append(1.0 - len(s.index) / parameters[s.name].shape[s.dim])
    return sum(round(parameters[name].numel() * (1.0 - prod(shares))) for name, shares in kept.items())


def _joined(layer: str, attribute: str) -> str:
    return f"{layer}.{attribute}" if layer else attribute

"""The end of a session: the physical cut, its proof, and what stands there afterwards."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.masks import Gone
from prunesearch.pruning.norms import narrow_norms
from prunesearch.pruning.outlets import PRODUCERS
from prunesearch.pruning.probe import ROUGH
from prunesearch.pruning.probe import TOLERANCE as PROBE_TOLERANCE
from prunesearch.pruning.running import (
    drawn_like,
    inputs_of,
    is_constant,
    is_floating,
    largest_difference,
    outputs,
    outputs_in_float64,
)
from prunesearch.pruning.structure import Group, UnitGroup
from prunesearch.results import LayerRow

TOLERANCE = 1e-5
"""Largest |masked - cut| / max(1, |out|) of a right cut in float32; beyond it float64 decides, with 1e-9.

A network that does not run in float64 may differ by `probe.ROUGH`."""


@dataclass(frozen=True)
class Finished:
    """What a session ends with.

    Args:
        layers: one row per group of the granularity, spared ones included: what was kept.
        notes: where something is not exactly what was asked, and why.
        infeasible: why the network is not usable (nothing removed, collapsed, cut and mask differ), or None.
        masked_difference: largest |masked - cut| / max(1, largest |output|) on the check inputs, in the network's own
            type, or in float64 where only rounding passes 1e-5; 0 for weights.
        recovered: rewind_pruning: whether any level came back; None for all others.
        sparsity: fraction of the dense network's parameters that are gone.
        gone: per group, which elements are gone, (n,) bool, in the numbering of the dense network.
    """

    layers: tuple[LayerRow, ...]
    notes: tuple[str, ...]
    infeasible: str | None
    masked_difference: float
    recovered: bool | None
    sparsity: float
    gone: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Compared:
    """A cut and its proof.

    Args:
        difference: the largest relative difference to the masked network.
        wrong_widths: layers of another width than asked.
        bound: largest difference of a right cut.
    """

    difference: float = 0.0
    wrong_widths: tuple[str, ...] = ()
    bound: float = TOLERANCE


def cut_and_compare(model: nn.Module, groups: Sequence[Group], gone: Gone, example: Any) -> Compared:
    """Cut `model` in place and compare it with its masked form.

    Rounding alone can pass 1e-5 on deep networks (3.8e-5 on a ResNet-50), and TF32, which CUDA convolutions use unless
    told otherwise, passes it on any; so beyond that both are compared in float64, which knows no TF32.
    """
    units = [g for g in groups if isinstance(g, UnitGroup) and g.name in gone]
    if not units:
        return Compared()
    masked = copy.deepcopy(model)
    narrow_norms(masked, units, gone)
    physical_cut(model, units, gone)
    wrong = tuple(told for g in units if (told := _wrong_width(masked, model, g, gone[g.name])))
    inputs = _check_inputs(masked, example)
    difference = largest_difference(outputs(masked, inputs), outputs(model, inputs))
    if difference <= TOLERANCE:
        return Compared(difference, wrong)
    one, other = outputs_in_float64(masked, inputs), outputs_in_float64(model, inputs)
    if one is None or other is None:
        return Compared(difference, wrong, ROUGH)
    finer = largest_difference(one, other)
    return Compared(finer if finer <= PROBE_TOLERANCE else difference, wrong)


def _check_inputs(model: nn.Module, example: Any, batch: int = 2) -> Any:
    """The example and `batch` drawn ones; drawn ones alone where it is several tensors.

    The example alone where none can be drawn, or where the network gives nothing finite for those drawn.
    """
    if not is_floating(example):
        return example
    drawn = drawn_like(example, torch.Generator().manual_seed(0), batch)
    inputs = torch.cat([example, drawn]) if isinstance(example, torch.Tensor) and example.dim() else drawn
    try:
        finite = all(bool(torch.isfinite(t).all()) for t in outputs(model, inputs))
    except Exception:  # noqa: BLE001 -- a user's forward may raise anything on inputs that it does not expect
        return example
    return inputs if finite else example


def _wrong_width(before: nn.Module, after: nn.Module, group: UnitGroup, lost: torch.Tensor) -> str | None:
    """Whether the first layer has lost as many outputs as were selected, read from its weights."""
    share = next(s for s in group.shares if s.layer == group.name and s.side == "out")
    asked = _width(before, group.name) - int(lost.cpu()[share.element].sum())
    reached = _width(after, group.name)
    return None if reached == asked else f"{group.name} has {reached} instead of {asked}"


def _width(model: nn.Module, layer: str) -> int:
    module = model.get_submodule(layer)
    weight = model.get_parameter(f"{layer}.weight" if layer else "weight")
    return weight.shape[1] if getattr(module, "transposed", False) else weight.shape[0]


def infeasibility(model: nn.Module, gone: Gone, compared: Compared, example: Any) -> str | None:
    """Why the network that a session leaves is not usable, or None."""
    if not any(bool(lost.any()) for lost in gone.values()):
        return "the policy removed nothing"
    if compared.wrong_widths:
        return f"widths are not what was asked: {', '.join(compared.wrong_widths)}"
    if compared.difference > compared.bound:
        return f"masked and cut network differ by {compared.difference:.1e} of the output"
    return _collapsed(model, example)


def _collapsed(model: nn.Module, example: Any) -> str | None:
    """A network whose outputs are not finite, or the same whatever goes in; a layer whose outputs are."""
    inputs = _check_inputs(model, example, batch=16)
    with _stuck_layers(model) as stuck:
        told = outputs(model, inputs)
    if not all(bool(torch.isfinite(t).all()) for t in told):
        return "the network's outputs are not finite"
    if all(t.dim() == 0 or len(t) < 2 or is_constant(t) for t in inputs_of(inputs)):
        return None
    where = f" (from {', '.join(stuck)} on)" if stuck else ""
    if all(is_constant(t) for t in told):
        return f"the network collapsed: its outputs no longer depend on its inputs{where}"
    return f"collapsed: the outputs of {', '.join(stuck)} no longer depend on what goes in" if stuck else None


@contextmanager
def _stuck_layers(model: nn.Module) -> Iterator[list[str]]:
    """While the network runs: the Linear and Conv layers that are given different things and always say the same."""
    stuck: list[str] = []

    def look(name: str) -> Any:
        def hook(_layer: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
            if given and not is_constant(given[0]) and is_constant(output):
                stuck.append(name)

        return hook

    handles = [m.register_forward_hook(look(n)) for n, m in model.named_modules() if isinstance(m, PRODUCERS)]
    try:
        yield stuck
    finally:
        for handle in handles:
            handle.remove()


def layer_rows(groups: Sequence[Group], gone: Gone) -> tuple[LayerRow, ...]:
    """One row per group: how many of its elements are left; all of those that were never pruned."""
    rows = []
    for group in groups:
        lost = gone.get(group.name)
        total = group.info.size if lost is None else len(lost)
        rows.append(LayerRow(group.name, group.info.kind, total - (0 if lost is None else int(lost.sum())), total))
    return tuple(rows)

"""The proof that a group can be cut: masked and cut networks must give the same outputs.

Done once per model, before any training, on a copy in float64 whose weights are redrawn: with ordinary initial values
the outputs of many networks are so small (1e-9, or 0 with a zero head) that no comparison could fail. A network that does
not run in float64 is compared in its own type, with a wider bound. What fails, or raises, is found by halving and spared
with the reason.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from prunesearch.errors import first_line
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.gradients import traceless
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.norms import narrowed_norms
from prunesearch.pruning.running import (
    drawn_like,
    forward,
    largest_difference,
    outputs,
    outputs_in_float64,
    tensors_of,
    to_float64,
)
from prunesearch.pruning.structure import UnitGroup

TOLERANCE = 1e-9
"""Largest |masked - cut| / max(1, |out|) in float64; right cuts give 1e-12 and less, wrong ones 1e-2 and more."""
ROUGH = 1e-3
"""The same in float32, for networks that do not run in float64; right cuts give 4e-5 and less, of a ResNet-50."""


def verified(model: nn.Module, example: Any, groups: Sequence[UnitGroup], seed: int = 0) -> tuple[UnitGroup, ...]:
    """The same groups; those whose cut fails are spared, with the reason.

    Args:
        model: the network; it is left as it is.
        example: its example input.
        groups: all unit groups; those already spared are passed on.
        seed: of redrawn weights, inputs and the half of the units that is removed.
    """
    open_groups = [g for g in groups if g.info.spared is None]
    reasons: dict[str, str] = {}
    _settle(model, example, open_groups, [], reasons, seed)
    return tuple(replace(g, info=replace(g.info, spared=reasons[g.name])) if g.name in reasons else g for g in groups)


def _settle(
    model: nn.Module, example: Any, doubtful: list[UnitGroup], sound: list[UnitGroup], reasons: dict[str, str], seed: int
) -> list[UnitGroup]:
    """`sound` and those of `doubtful` that can be cut together with it; the others get a reason."""
    if not doubtful:
        return sound
    problem = cut_problem(model, example, [*sound, *doubtful], seed)
    if problem is None:
        return [*sound, *doubtful]
    if len(doubtful) == 1:
        reasons[doubtful[0].name] = problem
        return sound
    half = len(doubtful) // 2
    sound = _settle(model, example, doubtful[:half], sound, reasons, seed)
    return _settle(model, example, doubtful[half:], sound, reasons, seed)


def cut_problem(model: nn.Module, example: Any, groups: Sequence[UnitGroup], seed: int = 0) -> str | None:
    """What goes wrong when half of the units of all these groups is cut, or None."""
    generator = torch.Generator().manual_seed(seed)
    network, inputs = redrawn(model, example, generator)
    bound = TOLERANCE if any(p.dtype == torch.float64 for p in network.parameters()) else ROUGH
    gone = {g.name: _half(g.info.size, generator) for g in groups}
    apply_masks(network, build_masks(dict(network.named_parameters()), groups, gone))
    try:
        with narrowed_norms(network, groups, gone):
            trains = settle_norms(network, inputs)
            masked = both_outputs(network, inputs, trains)
    except Exception as error:  # noqa: BLE001 -- a user's forward may raise anything
        return f"the network does not run on inputs drawn for a trial cut: {first_line(error)}"
    try:
        physical_cut(network, groups, gone)
        difference = apart(masked, both_outputs(network, inputs, trains))
    except Exception as error:  # noqa: BLE001 -- likewise, on a width that it does not expect
        return f"a cut fails: {first_line(error)}"
    if difference <= bound:
        return None
    return f"masked and cut network differ by {difference:.0e} of the output, so something mixes its channels"


Both = tuple[list[torch.Tensor], list[torch.Tensor]]
"""Outputs in evaluation and in training."""


def apart(one: Both, other: Both) -> float:
    """The larger of the differences in evaluation and, where neither's outputs depend on draws, in training."""
    trained = largest_difference(one[1], other[1]) if one[1] and other[1] else 0.0
    return max(largest_difference(one[0], other[0]), trained)


def both_outputs(network: nn.Module, inputs: Any, trains: bool) -> Both:
    """The network's outputs in evaluation, and those in training, which may be more (auxiliary heads).

    The latter are left out where they depend on draws: those of dropout differ with the width.

    Args:
        network: in evaluation mode; it is left as it is.
        inputs: its inputs.
        trains: whether to run it in training mode at all.

    Raises:
        Exception: whatever the network raises.
    """
    evaluated = outputs(network, inputs)
    if not trains:
        return evaluated, []
    runs = []
    for seed in range(2):
        with traceless(network, seed), torch.no_grad():
            runs.append(tensors_of(forward(network, inputs)))
    return evaluated, runs[0] if all(torch.equal(a, b) for a, b in zip(*runs, strict=True)) else []


def redrawn(model: nn.Module, example: Any, generator: torch.Generator) -> tuple[nn.Module, Any]:
    """A copy with weights drawn anew and no dropout, in evaluation mode, and two random inputs for it.

    Both in float64, or in their own type where the network does not run in that.
    """
    network, inputs = copy.deepcopy(model), drawn_like(example, generator)
    if outputs_in_float64(model, inputs) is not None:
        network, inputs = network.double(), to_float64(inputs)
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point():
                parameter.copy_(_values(name, parameter, generator))
    return network.eval(), inputs


def _values(name: str, parameter: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Matrices: normal with variance 2 / fan-in, which keeps the size of signals; scales in 0.5 to 1.5; biases in 0 to 1.

    Positive biases and shifts keep most units alive behind a ReLU: a unit that is always zero can be cut wrongly unseen.
    """
    if parameter.dim() >= 2:
        return torch.randn(parameter.shape, generator=generator).mul_((2.0 / max(1, parameter[0].numel())) ** 0.5)
    if name.endswith("bias"):
        return torch.rand(parameter.shape, generator=generator)
    return torch.rand(parameter.shape, generator=generator).add_(0.5)


def settle_norms(network: nn.Module, inputs: Any) -> bool:
    """Running statistics of the inputs themselves; where the network does not run in training mode they stay.

    After masking, so that what is left is normalised: with statistics of the unmasked network most units of a ResNet-18
    are zero on small images.

    Args:
        network: left in evaluation mode.
        inputs: its inputs.

    Returns:
        Whether the network runs in training mode.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 1.0
    try:
        network.train()
        with torch.no_grad():
            forward(network, inputs)
    except Exception:  # noqa: BLE001 -- a network may refuse in any way: norms a batch of one, auxiliary heads small images
        return False
    finally:
        network.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return True


def _half(size: int, generator: torch.Generator) -> torch.Tensor:
    """A random half of the elements, one of two and more, never all."""
    gone = torch.zeros(size, dtype=torch.bool)
    gone[torch.randperm(size, generator=generator)[: max(1, size // 2)]] = True
    return gone

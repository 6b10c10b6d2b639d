"""Networks that nobody here wrote: found, cut, compared, and compared with Torch-Pruning's own cut.

The smallest of them; docs/networks.md holds all fifteen (`python -m benchmarks networks`).
"""

from __future__ import annotations

import copy

import pytest
import torch
import torch_pruning
import torchvision
from torch import nn

from prunesearch.pruning.cut import architecture, physical_cut, rebuild
from prunesearch.pruning.groups import UnitGroup, find_groups
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.probe import redrawn, settle_norms
from prunesearch.pruning.running import largest_difference, outputs
from prunesearch.pruning.trace import LOST

GROUPS = {"squeezenet1_1": 25, "mobilenet_v3_small": 27, "shufflenet_v2_x0_5": 18}


def made(name: str) -> tuple[nn.Module, torch.Tensor, list[UnitGroup]]:
    model: nn.Module = torchvision.models.get_model(name, weights=None)
    example = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return model, example, [g for g in find_groups(model, example).units if g.info.spared is None]


def later_half(groups: list[UnitGroup]) -> dict[str, torch.Tensor]:
    return {g.name: torch.arange(g.info.size) >= g.info.size - g.info.size // 2 for g in groups}


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_foreign_networks_are_cut_right_and_come_back(name: str) -> None:
    model, example, groups = made(name)
    assert len(groups) == GROUPS[name]
    gone = later_half(groups)
    exact, inputs = redrawn(model, example, torch.Generator().manual_seed(1))
    apply_masks(exact, build_masks(dict(exact.named_parameters()), groups, gone))
    settle_norms(exact, inputs)
    masked, cut = outputs(exact, inputs), copy.deepcopy(exact)
    physical_cut(cut, groups, gone)
    assert largest_difference(masked, outputs(cut, inputs)) <= 1e-9
    for group in (groups[0], groups[-1]):
        wrong = copy.deepcopy(exact)
        physical_cut(wrong, groups, gone | {group.name: gone[group.name].roll(group.info.size // 4)})
        assert largest_difference(masked, outputs(wrong, inputs)) > 1e-6, group.name

    physical_cut(model, groups, gone)
    fresh = rebuild(torchvision.models.get_model(name, weights=None), architecture(model))
    fresh.load_state_dict(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(outputs(fresh, example), outputs(model, example), strict=True))


@pytest.mark.slow
def test_a_channel_shuffle_costs_only_the_groups_that_pass_it() -> None:
    """Torch-Pruning itself raises ZeroDivisionError on this network."""
    model: nn.Module = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None)
    groups = find_groups(model, torch.randn(2, 3, 64, 64)).units
    told = {g.name: g.info.spared for g in groups}
    assert told["stage2.1.branch2.0"] is None and told["stage2.0.branch2.5"] == LOST
    assert len(told) == len(groups)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1"])
def test_parameters_left_are_those_that_torch_pruning_leaves(name: str) -> None:
    model, example, groups = made(name)
    theirs = copy.deepcopy(model)
    head = [m for m in theirs.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    importance = torch_pruning.importance.MagnitudeImportance(p=1)
    torch_pruning.pruner.BasePruner(theirs, example, importance, pruning_ratio=0.5, ignored_layers=[head]).step()
    physical_cut(model, groups, later_half(groups))
    ours, reference = (sum(p.numel() for p in m.parameters()) for m in (model, theirs))
    assert abs(ours - reference) <= 0.05 * reference

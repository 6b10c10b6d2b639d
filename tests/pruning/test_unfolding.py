"""A network that was cut, back in the numbering of the dense one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from prunesearch.policy import Policy
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.groups import find_groups
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.structure import UnitGroup
from prunesearch.pruning.unfolding import unfolded
from tests.pruning.networks import Concat, Depthwise, mlp

CASES = [(mlp, (5, 12), "neuron"), (Depthwise, (2, 3, 8, 8), "unit"), (Concat, (2, 3, 8, 8), "unit")]


@pytest.mark.parametrize(("make", "shape", "granularity"), CASES)
def test_masked_and_cut_unfold_to_the_same(make: type[nn.Module], shape: tuple[int, ...], granularity: str) -> None:
    torch.manual_seed(0)
    model, example = make(), torch.randn(shape)
    groups = [
        g
        for g in find_groups(model, example).chosen(Policy(epochs=1, granularity=granularity, threshold=0.5))
        if isinstance(g, UnitGroup)
    ]
    gone = {g.name: torch.arange(g.info.size) % 3 == 1 for g in groups}
    dense, masked, cut = dict(model.named_parameters()), copy.deepcopy(model), copy.deepcopy(model)
    apply_masks(masked, build_masks(dense, groups, gone))
    physical_cut(cut, groups, gone)
    ours, masks = unfolded(cut, dense, groups, gone)
    theirs, same = unfolded(masked, dense, groups, gone)
    assert masks.keys() == same.keys() <= ours.keys() == dense.keys()
    assert sum(p.numel() for p in cut.parameters()) == sum(
        int(masks[n].sum()) if n in masks else p.numel() for n, p in dense.items()
    )
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
        assert torch.equal(value, dict(masked.named_parameters())[name])
        assert value.data_ptr() != dense[name].data_ptr()

"""Masked equals cut: in evaluation, over twenty training steps, and never by accident."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch_pruning
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adam, Optimizer

from prunesearch.models import cnn84
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.enforcing import Enforcer
from prunesearch.pruning.groups import UnitGroup, find_groups
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.norms import narrow_norms
from prunesearch.pruning.probe import TOLERANCE, redrawn, settle_norms
from prunesearch.pruning.running import largest_difference, outputs
from tests.pruning.networks import NETWORKS, Network

every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def drawn(network: Network, share: float = 0.5) -> tuple[nn.Module, torch.Tensor, list[UnitGroup], dict[str, torch.Tensor]]:
    """A redrawn float64 network, inputs, its prunable groups, and a random choice of what goes."""
    plain = network.make()
    groups = [g for g in find_groups(plain, network.example()).units if g.info.spared is None]
    generator = torch.Generator().manual_seed(1)
    model, inputs = redrawn(plain, network.example(), generator)
    gone = {}
    for group in groups:
        gone[group.name] = torch.zeros(group.info.size, dtype=torch.bool)
        gone[group.name][torch.randperm(group.info.size, generator=generator)[: int(group.info.size * share)]] = True
    masked = masked_copy(model, groups, gone)
    settle_norms(masked, inputs)
    for (_, target), (_, buffer) in zip(model.named_buffers(), masked.named_buffers(), strict=True):
        target.copy_(buffer)
    return model, inputs, groups, gone


def masked_copy(model: nn.Module, groups: list[UnitGroup], gone: dict[str, torch.Tensor]) -> nn.Module:
    model = copy.deepcopy(model)
    apply_masks(model, build_masks(dict(model.named_parameters()), groups, gone))
    narrow_norms(model, groups, gone)
    return model


def cut_copy(model: nn.Module, groups: list[UnitGroup], gone: dict[str, torch.Tensor]) -> nn.Module:
    model = copy.deepcopy(model)
    physical_cut(model, groups, gone)
    return model


@every_network
def test_masked_equals_cut_and_masking_matters(network: Network) -> None:
    model, inputs, groups, gone = drawn(network)
    masked = outputs(masked_copy(model, groups, gone), inputs)
    assert largest_difference(masked, outputs(cut_copy(model, groups, gone), inputs)) <= 1e-12
    assert largest_difference(masked, outputs(model, inputs)) > 1e-3


@every_network
def test_what_is_masked_is_what_is_cut(network: Network) -> None:
    """Every tensor of the cut network is what the masks leave: no bias, shift or column is forgotten."""
    model, _, groups, gone = drawn(network)
    masks = build_masks(dict(model.named_parameters()), groups, gone)
    cut = dict(cut_copy(model, groups, gone).named_parameters())
    for name, parameter in model.named_parameters():
        left = parameter[masks[name].bool()] if name in masks else parameter.flatten()
        assert torch.equal(left, cut[name].flatten()), name


@every_network
def test_masked_equals_cut_in_float32(network: Network) -> None:
    model, inputs, groups, gone = drawn(network)
    model, inputs = model.float(), inputs.float()
    masked = outputs(masked_copy(model, groups, gone), inputs)
    assert largest_difference(masked, outputs(cut_copy(model, groups, gone), inputs)) <= 1e-5


@every_network
def test_a_wrong_cut_is_seen(network: Network) -> None:
    """Another unit than the masked one is cut, in one group after the other."""
    model, inputs, groups, gone = drawn(network, 0.4)
    masked = outputs(masked_copy(model, groups, gone), inputs)
    for group in groups:
        wrong = gone | {group.name: gone[group.name].roll(1)}
        if not torch.equal(wrong[group.name], gone[group.name]):
            assert largest_difference(masked, outputs(cut_copy(model, groups, wrong), inputs)) > 1e3 * TOLERANCE, group.name


@pytest.mark.parametrize("name", ["mixing", "in-groups"])
def test_masks_alone_would_not_do_where_a_norm_mixes_channels(name: str) -> None:
    model, inputs, groups, gone = drawn(NETWORKS[name])
    masked = copy.deepcopy(model)
    apply_masks(masked, build_masks(dict(masked.named_parameters()), groups, gone))
    assert largest_difference(outputs(masked, inputs), outputs(cut_copy(model, groups, gone), inputs)) > 0.01


def test_masking_rows_alone_would_not_do() -> None:
    model, inputs, groups, gone = drawn(NETWORKS["mlp"])
    rows = [s for g in groups for s in g.slices if s.role == "out"]
    masked = copy.deepcopy(model)
    for piece in rows:
        lost = next(gone[g.name] for g in groups if piece in g.slices)
        masked.get_parameter(piece.name).data.index_fill_(piece.dim, piece.index[lost[piece.element]], 0)
    assert largest_difference(outputs(masked, inputs), outputs(cut_copy(model, groups, gone), inputs)) > 0.01


def sgd(model: nn.Module) -> Optimizer:
    return SGD(model.parameters(), lr=0.002, momentum=0.9, weight_decay=1e-3)


def adam(model: nn.Module) -> Optimizer:
    return Adam(model.parameters(), lr=1e-3)


def train(model: nn.Module, optimizer: Optimizer, inputs: torch.Tensor, after_step: Callable[[], None]) -> None:
    generator = torch.Generator().manual_seed(2)
    model.train()
    for _ in range(20):
        x = torch.randn(8, *inputs.shape[1:], generator=generator, dtype=inputs.dtype)
        out = model(x)
        loss = functional.mse_loss(out, torch.randn(out.shape, generator=generator, dtype=out.dtype))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after_step()


@pytest.mark.parametrize("optimizer", [sgd, adam])
@every_network
def test_twenty_training_steps_agree(network: Network, optimizer: Callable[[nn.Module], Optimizer]) -> None:
    model, inputs, groups, gone = drawn(network)
    masked, cut = copy.deepcopy(model), cut_copy(model, groups, gone)
    steps = optimizer(masked)
    enforcer = Enforcer(masked, steps)
    enforcer.hold(groups, gone)
    train(masked, steps, inputs, enforcer.hold_weights)
    train(cut, optimizer(cut), inputs, lambda: None)
    assert largest_difference(outputs(masked, inputs), outputs(cut, inputs)) <= 1e-7
    assert largest_difference(outputs(masked, inputs), outputs(masked_copy(model, groups, gone), inputs)) > 1e-3


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "depthwise", "grouped"])
def test_parameters_left_are_those_that_torch_pruning_leaves(name: str) -> None:
    """The last half of every group goes: the same ratio, by another program."""
    network = NETWORKS[name]
    model, example = network.make(), network.example()
    groups = [g for g in find_groups(model, example).units if g.info.spared is None]
    gone = {g.name: torch.arange(g.info.size) >= g.info.size - g.info.size // 2 for g in groups}
    last = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    theirs = copy.deepcopy(model)
    ignored = [m for m in theirs.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1:]
    importance = torch_pruning.importance.MagnitudeImportance(p=1)
    pruner = torch_pruning.pruner.BasePruner(theirs, example, importance, pruning_ratio=0.5, ignored_layers=ignored)
    pruner.step()
    physical_cut(model, groups, gone)
    assert last.weight.shape[0] == ignored[0].weight.shape[0]
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_a_cut_keeps_memory_format_frozen_parameters_and_mode() -> None:
    model, _, groups, gone = drawn(NETWORKS["depthwise"])
    model = model.to(memory_format=torch.channels_last).train()
    model.get_submodule("stem").requires_grad_(False)
    physical_cut(model, groups, gone)
    stem, point = model.get_parameter("stem.weight"), model.get_parameter("point.weight")
    assert stem.is_contiguous(memory_format=torch.channels_last) and not stem.is_contiguous()
    assert (stem.requires_grad, point.requires_grad, model.training) == (False, True, True)
    assert stem.shape == (4, 3, 3, 3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_cut_network_lies_as_one_that_was_built_so_small(layout: torch.memory_format) -> None:
    """Also where one channel goes in and a tensor is contiguous in both formats: its strides choose torch's kernels."""
    model, built = cnn84().to(memory_format=layout), nn.Conv2d(1, 6, 3, bias=False).to(memory_format=layout)
    groups = find_groups(model, torch.rand(2, 1, 28, 28)).units
    physical_cut(model, groups, {"conv1": torch.arange(8) < 2, "conv2": torch.arange(4) < 3})
    conv1, conv2 = model.get_parameter("conv1.weight"), model.get_parameter("conv2.weight")
    assert conv1.shape == built.weight.shape and conv1.stride() == built.weight.stride()
    assert conv2.stride() == nn.Conv2d(6, 1, 3).to(memory_format=layout).weight.stride()


def test_masks_of_channels_last_weights_lie_as_the_weights_do() -> None:
    model, _, groups, gone = drawn(NETWORKS["lenet5"])
    parameters = dict(model.to(memory_format=torch.channels_last).named_parameters())
    masks = build_masks(parameters, groups, gone)
    assert all(mask.stride() == parameters[name].stride() for name, mask in masks.items())


@pytest.mark.parametrize(("width", "kept"), [(64, [3, 32, 40, 50]), (96, [70, 5, 95]), (768, list(range(1, 768, 3)))])
def test_few_channels_of_a_wide_layer_norm_stay_in_their_order(width: int, kept: list[int]) -> None:
    """A set of few of many whole numbers is not in their order."""
    model = nn.Sequential(nn.Linear(4, width), nn.LayerNorm(width), nn.Linear(width, 3)).double()
    with torch.no_grad():
        for parameter in model[1].parameters():
            parameter.copy_(torch.randn(width))
    (group, _) = find_groups(model, torch.randn(2, 4, dtype=torch.float64)).units
    gone = {group.name: torch.ones(width, dtype=torch.bool).index_fill(0, torch.tensor(kept), False)}
    cut, inputs = cut_copy(model, [group], gone), torch.randn(8, 4, dtype=torch.float64)
    assert largest_difference(outputs(masked_copy(model, [group], gone), inputs), outputs(cut, inputs)) <= TOLERANCE
    assert torch.equal(cut.get_parameter("1.weight"), model.get_parameter("1.weight")[sorted(kept)])

"""A cut network, carried by safetensors and JSON into a fresh instance of its class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from prunesearch.errors import TaskError
from prunesearch.pruning.cut import architecture, physical_cut, rebuild
from prunesearch.pruning.groups import find_groups
from prunesearch.pruning.running import outputs
from tests.pruning.networks import NETWORKS, Network


def cut_in_half(network: Network) -> nn.Module:
    model = network.make()
    groups = [g for g in find_groups(model, network.example()).units if g.info.spared is None]
    physical_cut(model, groups, {g.name: torch.arange(g.info.size) % 2 == 1 for g in groups})
    return model


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_cut_network_comes_back_in_the_original_class(network: Network, tmp_path: Path) -> None:
    cut = cut_in_half(network)
    save_file(cut.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "architecture.json").write_text(json.dumps(architecture(cut)))

    fresh = rebuild(network.make(), json.loads((tmp_path / "architecture.json").read_text()))
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"))
    example = network.example()
    assert all(torch.equal(a, b) for a, b in zip(outputs(fresh, example), outputs(cut, example), strict=True))
    assert repr(fresh) == repr(cut)
    assert {n: p.shape for n, p in fresh.named_parameters()} == {n: p.shape for n, p in cut.named_parameters()}


def test_a_rebuilt_network_trains() -> None:
    network = NETWORKS["resnet20"]
    fresh = rebuild(network.make(), architecture(cut_in_half(network)))
    fresh.train()(network.example()).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in fresh.parameters())


def test_another_class_is_refused() -> None:
    told = architecture(cut_in_half(NETWORKS["lenet5"]))
    with pytest.raises(TaskError, match="the weights are of another network: 'the network' is LeNet5 there and Depthwise here"):
        rebuild(NETWORKS["depthwise"].make(), told)


@pytest.mark.parametrize("changed", [{"format": 2}, {"format": None}])
def test_a_newer_format_is_refused(changed: dict[str, Any]) -> None:
    network = NETWORKS["mlp"]
    with pytest.raises(TaskError, match="reads format 1"):
        rebuild(network.make(), architecture(network.make()) | changed)

"""Units that emit a constant or that nobody reads leave a network; what it says stays, exactly."""

from __future__ import annotations

import copy
from typing import Any, Literal

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunesearch.models.lenet import LeNet5
from prunesearch.models.mlp import mlp
from prunesearch.pruning.cut import architecture, rebuild
from prunesearch.pruning.dead import Dead, remove_dead
from prunesearch.pruning.groups import find_groups
from prunesearch.pruning.running import largest_difference, outputs
from tests.pruning.networks import NETWORKS
from tests.pruning.plain_loop import Run, policy


def removed(model: nn.Module, example: torch.Tensor) -> Dead:
    """Remove, and hold the network to what it said before, in float64 and on other inputs."""
    groups = find_groups(model, example)
    model.double().eval()
    inputs = torch.randn(16, *example.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    before = outputs(copy.deepcopy(model), inputs)
    dead = remove_dead(model, groups, example.double())
    assert largest_difference(before, outputs(model, inputs)) <= 1e-12
    assert dead.params[1] == sum(p.numel() for p in model.parameters())
    return dead


@torch.no_grad()
def zero(model: nn.Module, name: str, *index: Any) -> None:
    model.get_parameter(name)[index] = 0.0


def test_a_silent_unit_leaves_and_its_constant_goes_into_the_next_bias() -> None:
    model, example = mlp((6, 5, 4, 3)), torch.randn(2, 6)
    zero(model, "fc1.weight", 2)
    before = model.get_parameter("fc2.bias").detach().clone()
    constant = float(model.get_parameter("fc1.bias")[2].detach().clamp_min(0))
    column = model.get_parameter("fc2.weight").detach()[:, 2].clone()
    dead = removed(model, example)
    assert dead.units == {"fc1": 1} and dead.folded == (constant > 0) and dead.params == (35 + 24 + 15, 28 + 20 + 15)
    torch.testing.assert_close(model.get_parameter("fc2.bias"), (before + constant * column).double())


def test_an_unread_unit_leaves_whatever_it_emits() -> None:
    model, example = mlp((6, 5, 4, 3)), torch.randn(2, 6)
    zero(model, "fc2.weight", slice(None), 3)
    before = model.get_parameter("fc2.bias").detach().clone()
    dead = removed(model, example)
    assert (dead.units, dead.folded, dead.params) == ({"fc1": 1}, 0, (74, 74 - 7 - 4)) and dead.difference < 1e-15
    torch.testing.assert_close(model.get_parameter("fc2.bias"), before.double())


def test_what_dies_with_another_leaves_too() -> None:
    """Unit 1 of fc2 is read by nobody, and unit 0 of fc1 is read by it alone."""
    model, example = mlp((6, 5, 4, 3)), torch.randn(2, 6)
    zero(model, "fc3.weight", slice(None), 1)
    zero(model, "fc2.weight", [0, 2, 3], 0)
    assert removed(model, example).units == {"fc1": 1, "fc2": 1}


def test_nothing_leaves_a_network_without_dead_parts() -> None:
    model, example = mlp((6, 5, 4, 3)), torch.randn(2, 6)
    own = copy.deepcopy(model.state_dict())
    assert removed(model, example) == Dead({}, 0, (74, 74), 0.0)
    assert all(torch.equal(own[n].double(), t) for n, t in model.state_dict().items())


def test_one_unit_stays_in_every_group() -> None:
    model, example = mlp((6, 5, 4, 3)), torch.randn(2, 6)
    zero(model, "fc1.weight")
    dead = removed(model, example)
    assert dead.units == {"fc1": 4} and model.get_parameter("fc1.weight").shape == (1, 6)


Mode = Literal["zeros", "reflect", "circular"]


class Convolutions(nn.Module):
    """A convolution behind another, with the padding, bias, padding mode and groups asked for."""

    def __init__(self, padding: int = 0, bias: bool = True, mode: Mode = "zeros", groups: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 4, 3, padding=padding, bias=bias, padding_mode=mode, groups=groups)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(functional.relu(self.second(functional.silu(self.norm(self.first(x))))).mean((2, 3)))
        return out


@pytest.mark.parametrize(
    ("options", "leaves"),
    [
        ({}, True),
        ({"padding": 1, "mode": "reflect"}, True),
        ({"padding": 1, "mode": "circular"}, True),
        ({"padding": 1}, False),
        ({"bias": False}, False),
    ],
)
def test_constants_are_folded_only_where_that_is_exact(options: dict[str, Any], leaves: bool) -> None:
    """What nobody reads leaves in any case: one unit that has to stay does not keep the others."""
    model = Convolutions(**options)
    zero(model, "first.weight", 1)
    zero(model, "second.weight", slice(None), 3)
    nn.init.uniform_(model.get_parameter("norm.bias"), 0.5, 1.0)
    assert removed(model, torch.randn(2, 2, 9, 9)).units == {"first": 2 if leaves else 1}


def test_a_grouped_convolution_takes_up_each_channel_in_its_own_group() -> None:
    model = Convolutions(groups=2)
    zero(model, "first.weight", [1, 4])
    nn.init.uniform_(model.get_parameter("norm.bias"), 0.5, 1.0)
    assert removed(model, torch.randn(2, 2, 9, 9)).units == {"first": 1}
    assert model.get_parameter("second.weight").shape == (4, 2, 3, 3)


class Twice(nn.Module):
    """One layer that reads two others in turn: what it is given has no one value."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.one, self.other, self.reader = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.before(x))
        out: torch.Tensor = self.reader(torch.tanh(self.one(x))) + self.reader(torch.tanh(self.other(x)))
        return out


def test_a_layer_that_runs_twice_takes_up_nothing() -> None:
    model = Twice()
    for layer in ("one", "other"):
        zero(model, f"{layer}.weight", 2)
        zero(model, f"{layer}.weight", slice(None), 4)
    assert removed(model, torch.randn(2, 3)).units == {"before": 1}


def test_folding_over_zero_padding_would_be_wrong() -> None:
    """Why such units stay: a padded border does not hold the constant."""
    model = Convolutions(padding=1).eval()
    zero(model, "first.weight", 1)
    nn.init.constant_(model.get_parameter("norm.bias"), 0.5)
    x = torch.randn(4, 2, 9, 9)
    before = outputs(model, x)
    constant = functional.silu(model.get_submodule("norm")(model.get_submodule("first")(x)))[0, 1, 0, 0].detach()
    with torch.no_grad():
        model.get_parameter("second.bias").add_(model.get_parameter("second.weight")[:, 1].sum((1, 2)) * constant)
        model.get_parameter("second.weight")[:, 1] = 0.0
    assert largest_difference(before, outputs(model, x)) > 1e-3


def test_a_silent_unit_that_emits_zero_leaves_over_any_padding() -> None:
    model = Convolutions(padding=1, bias=False)
    zero(model, "first.weight", 1)
    zero(model, "first.bias", 1)
    assert removed(model, torch.randn(2, 2, 9, 9)).units == {"first": 1}


@pytest.mark.parametrize(
    "name", ["lenet5", "resnet20", "depthwise", "grouped", "concat", "gated", "recurrent", "mixing", "in-groups"]
)
def test_whatever_is_sparse_says_what_it_said(name: str) -> None:
    """97 % of all weights are zero, so that much of every network is dead."""
    torch.manual_seed(0)
    model = NETWORKS[name].make()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(torch.rand_like(parameter) < 0.03)
    dead = removed(model, NETWORKS[name].example())
    assert bool(dead.units) == (dead.params[1] < dead.params[0]) == (name != "in-groups")  # its norms count every channel


def test_a_pruned_lenet_is_smaller_as_accurate_and_comes_back() -> None:
    run = Run(policy(threshold=0.98, scope="global"), network=NETWORKS["lenet5"])
    run.train()
    run.finish()
    model, before = run.model.eval(), outputs(run.model, run.inputs)[0]
    dead = remove_dead(model, run.session.groups, run.network.example())
    after = outputs(model, run.inputs)[0]
    assert torch.equal(before.argmax(1), after.argmax(1)) and torch.allclose(before, after, atol=1e-5)
    assert dead.params[1] < 0.9 * dead.params[0] and set(dead.units) & {"conv1", "conv2", "fc1"}
    again = rebuild(LeNet5(), architecture(model))
    again.load_state_dict(model.state_dict())
    assert torch.equal(outputs(again, run.inputs)[0], after)

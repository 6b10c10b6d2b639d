"""Groups: what goes together, what is spared and why, and what a policy makes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch_pruning
from torch import nn
from torch.nn import functional

from prunesearch.errors import PolicyError, TaskError
from prunesearch.policy import Policy
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.groups import find_groups, level_of
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import IMAGE, NETWORKS, Network


def policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 4, "granularity": "unit", **fields})


def prunable(network: nn.Module, example: torch.Tensor) -> dict[str, int]:
    return {g.name: g.info.size for g in find_groups(network, example).units if g.info.spared is None}


def reasons(network: nn.Module, example: torch.Tensor) -> dict[str, str]:
    return {g.name: g.info.spared for g in find_groups(network, example).units if g.info.spared is not None}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_what_goes_together_is_what_was_worked_out_by_hand(network: Network) -> None:
    assert prunable(network.make(), network.example()) == network.widths


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "depthwise", "squeeze", "series"])
def test_layers_are_tied_as_torch_pruning_ties_them(name: str) -> None:
    network, example = NETWORKS[name].make(), NETWORKS[name].example()
    ours = {frozenset(g.layers) for g in find_groups(network, example).units}
    graph = torch_pruning.DependencyGraph().build_dependency(network, (example,), verbose=False)
    names = {module: name for name, module in network.named_modules()}
    theirs = set()
    for group in graph.get_all_groups():
        out = {d.target.module for d, _ in group if graph.is_out_channel_pruning_fn(d.handler)}
        theirs.add(frozenset(names[m] for m in out if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)))
    assert ours == theirs


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_parameters_of_a_group_are_those_that_a_cut_of_all_of_it_takes(network: Network) -> None:
    for group in find_groups(network.make(), network.example()).units:
        taken: dict[str, torch.Tensor] = {}
        parameters = dict(network.make().named_parameters())
        for piece in group.slices:
            mask = taken.setdefault(piece.name, torch.ones_like(parameters[piece.name], requires_grad=False))
            mask.index_fill_(piece.dim, piece.index, 0)
        assert group.info.params == sum(int((mask == 0).sum()) for mask in taken.values())
        assert set(group.info.members) == set(taken)


def test_the_network_and_the_generators_are_left_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 2)).train()
    network[0].weight.requires_grad_(False)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    find_groups(network, torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(state, torch.get_rng_state())
    assert network.training and not network[0].weight.requires_grad and not network[0]._forward_hooks
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class Foreign(nn.Module):
    """A small network around one foreign habit."""

    def __init__(self, habit: str) -> None:
        super().__init__()
        self.habit = habit
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm: nn.Module = nn.LayerNorm([8, 8, 8]) if habit == "layer_norm" else nn.Identity()
        self.unused = nn.Linear(2, 2)
        self.hidden = nn.Linear(8 * 64, 10)
        self.fc = nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm(self.conv(x)))
        match self.habit:
            case "shuffle":
                y = y.view(-1, 2, 4, 8, 8).transpose(1, 2).reshape(-1, 8, 8, 8)
            case "softmax":
                y = y.softmax(1)
            case "fixed view":
                y = y.reshape(-1, 8 * 64)
            case "input":
                y = torch.cat([y[:, :3] + x, y[:, 3:]], 1)
        out: torch.Tensor = self.fc(functional.relu(self.hidden(y.flatten(1))))
        return out


FOREIGN = {
    "layer_norm": "its channels pass norm (LayerNorm), which takes means over several dimensions at once",
    "softmax": "something mixes its channels",
    "fixed view": "a cut fails: mat1 and mat2 shapes",
    "shuffle": "its channels are lost in a reshape that cannot be followed",
    "input": "a cut fails: mat1 and mat2 shapes",
}


@pytest.mark.parametrize(("habit", "reason"), FOREIGN.items())
def test_what_cannot_be_cut_is_spared_with_the_reason_and_the_rest_is_not(habit: str, reason: str) -> None:
    network, example = Foreign(habit), torch.randn(2, *IMAGE)
    assert reason in reasons(network, example)["conv"]
    assert reasons(network, example)["unused"] == "the network does not call it on the example input"
    assert prunable(network, example) == {"hidden": 10}


def test_what_cannot_be_traced_leaves_weights_and_the_reason() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                out: torch.Tensor = self.fc2(self.fc1(x))
            return out

    groups = find_groups(Shuffled(), torch.randn(2, 4))
    assert [g.name for g in groups.weights if g.info.spared is None] == ["fc1"]
    with pytest.raises(PolicyError, match="nothing is left to prune") as error:
        groups.chosen(policy(granularity="neuron"))
    assert "fc1: the network cannot be traced" in str(error.value) or "fc1: the network does not call" in str(error.value)


def test_auxiliary_heads_that_only_training_has_are_outputs_too() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head, self.side = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> Any:
            x = functional.relu(self.body(x))
            return (self.head(x), self.side(x)) if self.training else self.head(x)

    groups = find_groups(Auxiliary(), torch.randn(4, 5))
    assert {g.name for g in groups.units if g.info.spared} == {"head", "side"}
    assert {g.name for g in groups.weights if g.info.spared} == {"head", "side"}
    body = next(g for g in groups.units if g.name == "body")
    assert {s.layer for s in body.shares if s.side == "in"} == {"head", "side"}


def test_a_head_that_only_training_has_is_compared_too() -> None:
    """The softmax over channels is there in training only; cutting them would change what it says."""

    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head, self.side = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> Any:
            x = torch.tanh(self.body(x))
            return (self.head(x), self.side(x.softmax(1))) if self.training else self.head(x)

    assert "something mixes its channels" in reasons(Aside(), torch.randn(4, 5))["body"]


def test_tied_weights_are_not_cut() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2, self.fc3 = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.Linear(6, 2)
            self.fc2.weight = self.fc1.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
            return out

    groups = find_groups(Tied(), torch.randn(2, 6))
    assert {g.info.spared for g in groups.units} == {
        "fc1.weight and fc2.weight are one tensor",
        "its units are the network's outputs",
    }
    assert [g.name for g in groups.weights] == ["fc1", "fc3"]


class Attention(nn.Module):
    """A block of a transformer, with attention written by hand as timm has it, or PyTorch's own."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.embed, self.heads = nn.Linear(5, 8), 2
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True) if own else None
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 12), nn.Linear(12, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)  # (n, 4, 8)
        if self.attention is None:
            q, k, v = self.qkv(x).reshape(len(x), 4, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            x = x + self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(x), 4, -1))
        else:
            x = x + self.attention(x, x, x, need_weights=False)[0]
        x = x + self.narrow(functional.gelu(self.wide(self.norm(x))))
        out: torch.Tensor = self.head(x.mean(1))
        return out


class Encoder(nn.Module):
    """PyTorch's transformer encoder, with its dropout."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.embed, self.encoder = nn.Linear(5, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.encoder(self.embed(x)).mean(1))
        return out


def test_an_encoder_of_pytorch_loses_units_of_its_mlps_only() -> None:
    network, example = Encoder(), torch.randn(2, 4, 5)
    assert prunable(network, example) == {"encoder.layers.0.linear1": 12, "encoder.layers.1.linear1": 12}
    assert "MultiheadAttention" in reasons(network, example)["embed"]
    session = PruningSession(network, policy(epochs=0, threshold=0.5), optimizer=None, example_input=example, shrink=True)
    assert session.groups.draws and session.finish().infeasible is None
    assert network.get_parameter("encoder.layers.1.linear1.weight").shape == (6, 8)


@pytest.mark.parametrize("own", [False, True])
def test_heads_stay_as_they_are_and_the_rest_of_a_transformer_is_pruned(own: bool) -> None:
    network, example = Attention(own), torch.randn(2, 4, 5)
    told = reasons(network, example)
    if own:
        assert prunable(network, example) == {"wide": 12}
        assert "MultiheadAttention" in told["embed"] and "MultiheadAttention" in told["attention.out_proj"]
    else:
        assert prunable(network, example) == {"embed": 8, "wide": 12} and {"qkv", "head"} <= set(told)
    session = PruningSession(network, policy(epochs=0, threshold=0.4), optimizer=None, example_input=example)
    assert session.finish().infeasible is None
    assert network.get_parameter("qkv.weight").shape == (24, 8 if own else 5)


def test_groups_of_a_convolution_stay_equally_wide() -> None:
    """Five of twelve filters cannot leave two groups alike: units are pairs, and whole pairs go."""
    network, example = NETWORKS["grouped"].make(), NETWORKS["grouped"].example()
    session = PruningSession(
        network, policy(epochs=0, granularity="filter", threshold=0.4), optimizer=None, example_input=example
    )
    rows = {row.name: (row.kept, row.total) for row in session.finish().layers}
    mid = network.get_submodule("mid")
    assert isinstance(mid, nn.Conv2d)
    assert rows["mid"] == (4, 6) and (mid.out_channels, mid.in_channels, mid.groups) == (8, 6, 2)
    assert network(example).shape == (4, 4)


def test_a_network_that_does_not_run_says_so() -> None:
    with pytest.raises(TaskError, match="does not run on its example input: mat1 and mat2"):
        find_groups(nn.Linear(3, 2), torch.randn(2, 4))


def test_the_task_spares_by_glob_and_a_wrong_glob_is_an_error() -> None:
    network = NETWORKS["lenet5"]
    groups = find_groups(network.make(), network.example(), spare=["conv*"])
    assert {info.spared for info in groups.infos if info.name.startswith("conv")} == {"spared by the task"}
    with pytest.raises(TaskError, match="spare: 'cnv1' matches no group") as error:
        find_groups(network.make(), network.example(), spare=["cnv1"])
    assert error.value.hint == "did you mean 'conv1'?"


def test_no_policy_frees_an_output_layer_that_the_task_spares() -> None:
    network = NETWORKS["lenet5"]
    groups = find_groups(network.make(), network.example(), spare=["fc2"])
    asked = policy(granularity="weight", prune_output_layer=True)
    assert [g.name for g in groups.chosen(asked)] == ["conv1", "conv2", "fc1"]
    with pytest.raises(PolicyError, match=r"(?s)nothing is left to prune.*fc2: spared by the task"):
        groups.chosen(policy(granularity="weight", prune_output_layer=True, only=["fc2"]))


CHOSEN = [
    ({"granularity": "weight"}, ["conv1", "conv2", "fc1"]),
    ({"granularity": "weight", "prune_output_layer": True}, ["conv1", "conv2", "fc1", "fc2"]),
    ({"granularity": "neuron"}, ["fc1"]),
    ({"granularity": "filter"}, ["conv1", "conv2"]),
    ({"granularity": "unit"}, ["conv1", "conv2", "fc1"]),
    ({"granularity": "unit", "spare": ["conv[1]"]}, ["conv2", "fc1"]),
    ({"granularity": "unit", "only": ["conv*"]}, ["conv1", "conv2"]),
    ({"granularity": "weight", "only": ["conv*"], "spare": ["conv2"]}, ["conv1"]),
]


@pytest.mark.parametrize(("fields", "names"), CHOSEN)
def test_which_groups_a_policy_prunes(fields: dict[str, Any], names: list[str]) -> None:
    network = NETWORKS["lenet5"]
    assert [g.name for g in find_groups(network.make(), network.example()).chosen(policy(**fields))] == names


REFUSED = [
    ({"spare": ["fc7"]}, "spare: 'fc7' matches no group"),
    ({"only": ["head.*"]}, "only: 'head.*' matches no group"),
    ({"scope": "ratios", "ratio": {"default": 0.5, "conv3": 0.2}}, "ratio: 'conv3' matches no group"),
    ({"scope": "ratios", "ratio": {"default": 0.5, "fc2": 0.2}}, "ratio: 'fc2' names only what is not pruned"),
    ({"only": ["fc2"]}, "nothing is left to prune"),
    ({"spare": ["*"]}, "nothing is left to prune"),
    ({"round_to": 32}, r"round_to: 32 is more than the width of conv1 \(20\)"),
    ({"prune_output_layer": True}, "outputs of the network cannot be removed"),
    ({"criterion": "bn_scale"}, "needs a norm behind every unit, and there is none behind conv1, conv2, fc1"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_what_does_not_fit_the_network_is_refused(fields: dict[str, Any], message: str) -> None:
    network = NETWORKS["lenet5"]
    with pytest.raises(PolicyError, match=message):
        find_groups(network.make(), network.example()).chosen(policy(**fields))


def test_a_granularity_that_the_network_does_not_have_is_refused() -> None:
    network = NETWORKS["mlp"]
    with pytest.raises(PolicyError, match="granularity 'filter': nothing is left to prune; the network has no such group"):
        find_groups(network.make(), network.example()).chosen(policy(granularity="filter"))


@pytest.mark.parametrize(
    ("name", "level"),
    [("layer1.0.conv1", 0.1), ("layer1.0.conv2", 0.2), ("layer1.1.conv1", 0.3), ("layer2.0.conv1", 0.4), ("fc", 0.5)],
)
def test_the_exact_name_wins_then_the_longest_glob_then_the_default(name: str, level: float) -> None:
    ratio = {"default": 0.5, "layer*": 0.4, "layer1.*": 0.3, "layer1.0.*": 0.2, "layer1.0.conv1": 0.1}
    assert level_of(name, ratio) == level


def test_without_a_default_the_rest_is_not_pruned() -> None:
    assert level_of("fc", {"conv*": 0.5}) == 0.0


class InItsOwnType(nn.Module):
    """Asks for float32 by name, as who normalises inside the network does."""

    def __init__(self, mixes: bool = False) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)
        self.mixes = mixes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.fc1(x.float()))
        out: torch.Tensor = self.fc2(x.softmax(1) if self.mixes else x)
        return out


def test_a_network_that_does_not_run_in_float64_is_proved_in_its_own_type() -> None:
    assert prunable(InItsOwnType(), torch.randn(4, 6)) == {"fc1": 8}
    assert "something mixes its channels" in reasons(InItsOwnType(mixes=True), torch.randn(4, 6))["fc1"]


class Coded(nn.Module):
    """Categories as codes in a table of floats; nothing but 5, 6 and 7 may be looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.fc1, self.fc2 = nn.Embedding(3, 4), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(functional.relu(self.fc1(torch.cat([self.words(x[:, 0].long() - 5), x[:, 1:]], 1))))
        return out


def test_drawn_inputs_stay_where_the_network_expects_them() -> None:
    table = torch.cat([torch.randint(5, 8, (16, 1)).float(), torch.randn(16, 2)], 1)
    assert prunable(Coded(), table) == {"fc1": 8}


def test_a_network_that_fails_on_drawn_inputs_is_pruned_by_weights_all_the_same() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not torch.allclose(x.sum(1), torch.ones_like(x[:, 0])):
                raise ValueError("rows of probabilities, please")
            out: torch.Tensor = self.fc2(functional.relu(self.fc1(x)))
            return out

    groups = find_groups(Picky(), torch.randn(16, 3).softmax(1))
    assert [g.name for g in groups.weights if g.info.spared is None] == ["fc1"]
    told = next(g.info.spared for g in groups.units if g.name == "fc1")
    assert told == "the network does not run on inputs drawn for a trial cut: rows of probabilities, please"


def test_one_slope_for_all_channels_is_cut_with_none_of_them() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.PReLU(), nn.Linear(8, 2))
    (group, _) = find_groups(model, torch.randn(3, 4)).units
    assert group.info.spared is None and (group.info.size, group.info.params) == (8, 4 * 8 + 8 + 8 * 2)
    physical_cut(model, [group], {group.name: torch.arange(8) < 3})
    assert [tuple(p.shape) for p in model.parameters()] == [(5, 4), (5,), (1,), (2, 5), (2,)]

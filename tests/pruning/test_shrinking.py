"""After its last cut a network trains on as the smaller one: as the masked one would, whatever the optimiser keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import LBFGS, SGD, Adafactor, Adam, AdamW, Optimizer

from prunesearch.pruning.drawing import draws_by_width
from prunesearch.pruning.running import largest_difference, outputs
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import NETWORKS, Network
from tests.pruning.plain_loop import policy

Make = Callable[[nn.Module], Optimizer]


def momentum(model: nn.Module) -> Optimizer:
    return SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3, nesterov=True)


def adam(model: nn.Module) -> Optimizer:
    return Adam(model.parameters(), lr=1e-3)


def amsgrad(model: nn.Module) -> Optimizer:
    return AdamW(model.parameters(), lr=1e-3, amsgrad=True, weight_decay=0.05)


def grouped(model: nn.Module) -> Optimizer:
    """Weights and vectors with settings of their own."""
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) is wide] for wide in (True, False))
    return AdamW([{"params": matrices, "lr": 1e-3, "weight_decay": 0.1}, {"params": vectors, "lr": 3e-3, "weight_decay": 0.0}])


class Training:
    """A network that trains under a policy, 10 steps before the cut and 20 after it, on fixed random data in float64."""

    def __init__(
        self, network: Network, make: Make, *, shrink: bool, change: Callable[[nn.Module], Any] | None = None, **fields: Any
    ) -> None:
        torch.manual_seed(0)
        self.model = network.make().double().train()
        if change is not None:
            change(self.model)
        self.optimizer = make(self.model)
        self.inputs = torch.randn(24, *network.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        given = {"epochs": 3, "granularity": "unit", "threshold": 0.5} | fields
        self.session = PruningSession(
            self.model, policy(**given), optimizer=self.optimizer, example_input=self.inputs[:2], shrink=shrink
        )

    def run(self) -> nn.Module:
        for epoch in range(3):
            self.session.before_epoch(epoch)
            for step in range(10):
                out = self.model(self.inputs[8 * (step % 3) :][:8])
                self.optimizer.zero_grad()
                functional.cross_entropy(out, torch.arange(8) % out.shape[1]).backward()
                self.optimizer.step()
                self.session.after_step()
        return self.model

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def pair(
    network: Network, make: Make, change: Callable[[nn.Module], Any] | None = None, **fields: Any
) -> tuple[Training, Training]:
    """The same training, masked and shrunk."""
    masked, small = (Training(network, make, shrink=shrink, change=change, **fields) for shrink in (False, True))
    dense = small.parameters
    masked.run(), small.run()
    assert masked.parameters == dense > small.parameters
    assert largest_difference(outputs(masked.model, masked.inputs), outputs(small.model, masked.inputs)) <= 1e-7
    return masked, small


@pytest.mark.parametrize("make", [momentum, adam, amsgrad, grouped])
@pytest.mark.parametrize("name", ["depthwise", "concat", "grouped", "gated", "mixing", "series"])
def test_twenty_steps_as_the_smaller_network_are_those_of_the_masked_one(name: str, make: Make) -> None:
    fields: dict[str, Any] = {"granularity": "neuron"} if name == "gated" else {}
    masked, small = pair(NETWORKS[name], make, **fields)
    ends = [training.session.finish() for training in (masked, small)]
    assert [end.infeasible for end in ends] == [None, None] and ends[0].layers == ends[1].layers
    assert {n: p.shape for n, p in masked.model.named_parameters()} == {n: p.shape for n, p in small.model.named_parameters()}


@pytest.mark.parametrize("recovery", ["reinit", "rewind_weights"])
def test_what_is_left_is_recovered_before_the_network_shrinks(recovery: str) -> None:
    pair(NETWORKS["depthwise"], adam, recovery=recovery)


def test_settings_and_order_of_parameter_groups_stay() -> None:
    training = Training(NETWORKS["depthwise"], grouped, shrink=True)
    training.run()
    named = {id(p): n for n, p in training.model.named_parameters()}
    held = [[named[id(p)] for p in group["params"]] for group in training.optimizer.param_groups]
    assert held[0] == [n for n, p in training.model.named_parameters() if p.dim() > 1]
    assert held[1] == [n for n, p in training.model.named_parameters() if p.dim() == 1]
    assert [(g["lr"], g["weight_decay"]) for g in training.optimizer.param_groups] == [(1e-3, 0.1), (3e-3, 0.0)]
    assert set(training.optimizer.state) == set(training.model.parameters())
    for parameter, state in training.optimizer.state.items():
        assert state["exp_avg"].shape == parameter.shape and int(state["step"]) == 30


def test_moments_lie_as_their_channels_last_parameters_do() -> None:
    def channels_last(model: nn.Module) -> nn.Module:
        return model.to(memory_format=torch.channels_last)

    _, small = pair(NETWORKS["depthwise"], adam, channels_last)
    weight = small.model.get_parameter("stem.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    assert small.optimizer.state[weight]["exp_avg"].stride() == weight.stride()


def test_frozen_parameters_stay_frozen_and_are_cut() -> None:
    def freeze(model: nn.Module) -> None:
        model.get_submodule("stem").requires_grad_(False)

    _, small = pair(NETWORKS["depthwise"], adam, freeze)
    stem = small.model.get_parameter("stem.weight")
    assert not stem.requires_grad and stem.shape[0] == 4 and stem not in small.optimizer.state


class Shared(nn.Module):
    """One weight that two layers share, beside layers that can be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twin = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.twin.weight = self.first.weight
        self.hidden, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(torch.tanh(self.hidden(self.twin(torch.tanh(self.first(x))))))
        return out


def test_shared_parameters_stay_shared_and_trained_once() -> None:
    _, small = pair(Network(Shared, (6,), {}), momentum)
    assert small.model.get_parameter("first.weight") is small.model.get_submodule("twin").weight
    held = [p for group in small.optimizer.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == 5


def test_where_moments_cannot_be_cut_the_network_stays_masked() -> None:
    training = Training(NETWORKS["depthwise"], lambda model: Adafactor(model.parameters(), lr=1e-3), shrink=True)
    dense = training.parameters
    training.run()
    assert training.parameters == dense
    finished = training.session.finish()
    assert finished.infeasible is None and training.parameters < dense


@pytest.mark.parametrize("first", [0, 1])
def test_where_the_optimiser_lists_parameters_of_its_own_the_network_stays_masked(first: int) -> None:
    """Before its first step too, when it keeps nothing yet."""
    network = NETWORKS["mlp"].make()
    optimizer = LBFGS(network.parameters(), lr=0.1, max_iter=2)
    inputs = torch.randn(8, *NETWORKS["mlp"].shape)
    told = policy(epochs=2, granularity="neuron", threshold=0.5, epoch_threshold=first)
    session = PruningSession(network, told, optimizer=optimizer, example_input=inputs[:2], shrink=True)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = functional.cross_entropy(network(inputs), torch.arange(8) % 2)
        found.backward()
        return found

    for epoch in range(2):
        session.before_epoch(epoch)
        before = [p.detach().clone() for p in network.parameters()]
        optimizer.step(loss)
        session.after_step()
        assert not any(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    assert session.finish().infeasible is None


class Drawing(nn.Module):
    """Two layers with something random in between that is called as a function."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.hidden, self.fc, self.kind = nn.Linear(6, 8), nn.Linear(8, 3), kind
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.hidden(x)))
        match self.kind:
            case "dropout":
                x = functional.dropout(x, 0.2, self.training)
            case "noise":
                x = x + 0.1 * torch.randn_like(x) if self.training else x
            case "no dropout":
                x = functional.dropout(x, 0.0, self.training)
            case "stochastic depth":
                x = x * torch.bernoulli(torch.full((len(x), 1), 0.8, dtype=x.dtype)) if self.training else x
            case "attention":  # over one token; it carries torch's mark of what may draw
                one = x[:, None, None]
                x = functional.scaled_dot_product_attention(one, one, one)[:, 0, 0]
        out: torch.Tensor = self.fc(x)
        return out


@pytest.mark.parametrize(
    ("kind", "shrinks"),
    [("dropout", False), ("noise", False), ("no dropout", True), ("stochastic depth", True), ("attention", True)],
)
def test_a_network_that_draws_by_its_width_is_not_shrunk(kind: str, shrinks: bool) -> None:
    training = Training(Network(lambda: Drawing(kind), (6,), {}), adam, shrink=True)
    dense = training.parameters
    training.run()
    assert (training.parameters < dense) is shrinks
    assert training.session.finish().infeasible is None and training.parameters < dense


def test_a_module_that_drops_is_seen_as_well() -> None:
    network = Network(lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.Linear(8, 3)), (6,), {})
    training = Training(network, adam, shrink=True)
    dense = training.parameters
    training.run()
    assert training.parameters == dense


def test_looking_for_draws_leaves_no_trace() -> None:
    torch.manual_seed(3)
    model = Drawing("dropout")
    state, before = {n: t.clone() for n, t in model.state_dict().items()}, torch.get_rng_state()
    assert draws_by_width(model.eval(), torch.randn(1, 6, generator=torch.Generator())) and not model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(state[n], t) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("fields", "shrunk_before"),
    [({"function": "gradual", "converge_over": 1}, 2), ({"function": "iterative", "prune_iter": 2}, 2)],
)
def test_only_the_last_cut_shrinks(fields: dict[str, Any], shrunk_before: int) -> None:
    training = Training(NETWORKS["depthwise"], adam, shrink=True, **fields)
    dense, sizes = training.parameters, []
    for epoch in range(3):
        training.session.before_epoch(epoch)
        sizes.append(training.parameters)
    assert [size < dense for size in sizes] == [epoch >= shrunk_before for epoch in range(3)]

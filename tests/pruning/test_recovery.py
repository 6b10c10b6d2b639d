"""After a cut: values restored bit for bit, drawn anew with the smaller fan-in, norms renewed, nothing else touched."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from prunesearch.errors import PolicyError
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.gradients import mean_gradients
from prunesearch.pruning.groups import UnitGroup, find_groups
from prunesearch.pruning.masks import apply_masks, build_masks
from prunesearch.pruning.recovery import recalibrate, reinitialise, restore, snapshot, swapped_in
from prunesearch.pruning.running import largest_difference, outputs
from tests.pruning.networks import NETWORKS


class Losses:
    """Losses of batches of a fixed random set."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        self.model = model
        self.batches = torch.randn(4, 8, *shape, generator=torch.Generator().manual_seed(3))

    def __call__(self, count: int) -> Iterator[torch.Tensor]:
        return (self.model(x).square().mean() for x in self.batches[:count])


def halved(name: str) -> tuple[nn.Module, list[UnitGroup], dict[str, torch.Tensor]]:
    model = NETWORKS[name].make()
    groups = [g for g in find_groups(model, NETWORKS[name].example()).units if g.info.spared is None]
    return model, groups, {g.name: torch.arange(g.info.size) % 2 == 0 for g in groups}


def test_restoring_is_exact_and_keeps_parameters_and_strides() -> None:
    model = NETWORKS["resnet20"].make().to(memory_format=torch.channels_last)
    values, kept = snapshot(model), {n: (id(p), p.stride()) for n, p in model.named_parameters()}
    reference = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.data.add_(1.0)
    model.train()(NETWORKS["resnet20"].example())
    restore(model, values)
    assert all(torch.equal(reference[n], t) for n, t in model.state_dict().items())
    assert kept == {n: (id(p), p.stride()) for n, p in model.named_parameters()}


def test_values_are_swapped_only_inside() -> None:
    model = NETWORKS["mlp"].make()
    own = snapshot(model)
    with swapped_in(model, {name: torch.zeros_like(v) for name, v in own.items()}):
        assert all(not bool(p.any()) for p in model.parameters())
    assert all(torch.equal(own[n], p) for n, p in model.named_parameters())


def test_reinitialised_layers_have_the_fan_in_of_the_cut_network() -> None:
    """nn.Linear draws from +-1 / sqrt(fan-in): twice as wide with a quarter of the inputs."""
    model = nn.Sequential(nn.Linear(64, 800), nn.ReLU(), nn.Linear(800, 400), nn.ReLU(), nn.Linear(400, 10))
    groups = [g for g in find_groups(model, torch.randn(2, 64)).units if g.info.spared is None]
    gone = {g.name: torch.arange(g.info.size) >= g.info.size // 4 for g in groups}
    reinitialise(model, groups, gone, seed=0)
    inner = model.get_parameter("2.weight").detach()
    assert not bool(inner[100:].any()) and not bool(inner[:, 200:].any())
    bound = 200**-0.5
    assert 0.98 * bound < float(inner[:100, :200].abs().max()) <= bound
    assert abs(float(inner[:100, :200].std()) - bound / 3**0.5) < 0.01 * bound


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "depthwise", "grouped", "recurrent"])
def test_reinitialised_is_what_the_cut_network_would_draw(name: str) -> None:
    model, groups, gone = halved(name)
    trained = snapshot(model)
    assert reinitialise(model, groups, gone, seed=1) == ()
    again = copy.deepcopy(model)
    masks = build_masks(dict(model.named_parameters()), groups, gone)
    apply_masks(again, masks)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    drawn = [n for n, p in model.named_parameters() if p.dim() > 1]
    assert all(not torch.equal(trained[n], model.get_parameter(n)) for n in drawn)
    reinitialise(again, groups, gone, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_parameters_that_no_module_resets_are_named() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.out, self.scale = nn.Linear(3, 4), nn.Linear(4, 2), nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.out(self.fc(x)) * self.scale
            return out

    assert reinitialise(Scaled(), [], {}, seed=0) == ("scale",)


def test_recalibrated_statistics_are_the_averages_over_the_batches() -> None:
    model = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 2)).train()
    losses = Losses(model, (5,))
    recalibrate(model, losses, 3, seed=0)
    batches = losses.batches[:3]
    mean, variance = batches.mean(1).mean(0), batches.var(1).mean(0)
    torch.testing.assert_close(model.get_buffer("0.running_mean"), mean)
    torch.testing.assert_close(model.get_buffer("0.running_var"), variance)
    assert model.training and model[1].training and model[0].momentum == 0.1


def test_statistics_that_cannot_be_renewed_leave_modes_and_momenta() -> None:
    model = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 2)).train()
    model[1].eval()

    def fails(count: int) -> Iterator[torch.Tensor]:
        yield model(torch.randn(count, 5)).square().mean()
        raise RuntimeError("no more batches")

    with pytest.raises(RuntimeError, match="no more batches"):
        recalibrate(model, fails, 2, seed=0)
    assert [m.training for m in (model, model[0], model[1])] == [True, True, False]
    assert model[0].momentum == 0.1


def test_mean_gradients_are_autograd_s_and_leave_no_trace() -> None:
    model = NETWORKS["depthwise"].make().eval()
    losses = Losses(model, (3, 8, 8))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    grad, squared = mean_gradients(model, ["stem.weight", "norm.bias"], losses, 4, seed=0)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and not model.training
    assert all(p.grad is None for p in model.parameters())

    model.train()
    weight = model.get_parameter("stem.weight")
    each = torch.stack([torch.autograd.grad(model(x).square().mean(), [weight])[0] for x in losses.batches])
    torch.testing.assert_close(grad["stem.weight"], each.mean(0))
    torch.testing.assert_close(squared["stem.weight"], each.square().mean(0))


def test_losses_that_are_not_scalars_or_not_there_are_refused() -> None:
    model = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    with pytest.raises(PolicyError, match=r"has to give scalars, got a tensor of shape \(4,\)"):
        mean_gradients(model, ["weight"], lambda n: [functional.mse_loss(model(x), x[:, :2], reduction="none").mean(1)], 1, 0)
    with pytest.raises(PolicyError, match="gave none of the 2 training batches"):
        mean_gradients(model, ["weight"], lambda n: [], 2, 0)


def test_reinitialised_networks_still_are_what_their_cut_is() -> None:
    model, groups, gone = halved("resnet20")
    reinitialise(model, groups, gone, seed=2)
    cut = copy.deepcopy(model)
    physical_cut(cut, groups, gone)
    example = NETWORKS["resnet20"].example()
    assert largest_difference(outputs(model, example), outputs(cut, example)) <= 1e-5


def test_a_whole_has_the_last_word_over_its_parts() -> None:
    class Quiet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.reset_parameters()

        def reset_parameters(self) -> None:
            nn.init.zeros_(self.fc.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc(x)
            return out

    model = Quiet()
    torch.nn.init.ones_(model.fc.weight)
    assert reinitialise(model, [], {}, seed=0) == () and not bool(model.fc.weight.any())


def test_parameters_from_which_a_weight_is_computed_are_named_for_they_keep_their_values() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    named = reinitialise(model, [], {}, seed=0)
    assert len(named) == 2 and all(torch.equal(before[name], model.get_parameter(name)) for name in named)
    assert {"0.bias", "1.weight", "1.bias"} <= {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}

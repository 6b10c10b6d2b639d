"""How a session ends: the cut, its proof, the guards, and what is refused before anything begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam

from prunesearch.errors import InfeasibleError, PolicyError
from prunesearch.pruning import finishing
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.masks import Gone
from prunesearch.pruning.running import outputs
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import NETWORKS
from tests.pruning.plain_loop import Run, policy

UNITS = [
    ("mlp", {"granularity": "neuron", "threshold": 0.5}, {"0": (5, 9), "2": (4, 7), "4": (3, 3)}),
    ("lenet5", {"granularity": "filter", "threshold": 0.9}, {"conv1": (2, 20), "conv2": (5, 50)}),
    (
        "lenet5",
        {"granularity": "unit", "threshold": 0.5, "round_to": 8},
        {"conv1": (16, 20), "conv2": (32, 50), "fc1": (256, 500)},
    ),
    ("grouped", {"granularity": "filter", "threshold": 0.5}, {"stem": (2, 4), "mid": (3, 6)}),
    ("mixing", {"granularity": "unit", "threshold": 0.5}, {"stem": (4, 8), "wide": (5, 10)}),
    ("mixing", {"granularity": "filter", "threshold": 0.5, "function": "one_shot"}, {"stem": (4, 8)}),
    ("in-groups", {"granularity": "filter", "threshold": 0.5, "function": "gradual"}, {"stem": (2, 4), "mid": (3, 6)}),
    ("gated", {"granularity": "neuron", "threshold": 0.34}, {"both": (4, 6)}),
]


@pytest.mark.parametrize(("name", "fields", "widths"), UNITS)
def test_widths_reached_are_widths_asked(name: str, fields: dict[str, Any], widths: dict[str, tuple[int, int]]) -> None:
    run = Run(policy(**fields), network=NETWORKS[name])
    dense = sum(p.numel() for p in run.model.parameters())
    run.train()
    with run.session.measuring():
        masked = outputs(run.model, run.inputs)
    finished = run.finish()
    rows = {row.name: (row.kept, row.total) for row in finished.layers}
    assert {k: rows[k] for k in widths} == widths
    assert finished.infeasible is None and finished.masked_difference <= 1e-5
    torch.testing.assert_close(outputs(run.model, run.inputs), masked, rtol=1e-4, atol=1e-5)
    assert finished.sparsity == pytest.approx(1 - sum(p.numel() for p in run.model.parameters()) / dense)
    first = run.model.get_parameter(f"{next(iter(widths))}.weight")
    share = 2 if name in ("grouped", "gated", "in-groups") else 1  # units of two channels, one for each group or half
    assert first.shape[0] == next(iter(widths.values()))[0] * share


def test_what_is_asked_and_not_reached_is_told() -> None:
    run = Run(policy(granularity="neuron", threshold=0.5, round_to=4))
    run.train()
    assert run.finish().notes == ("0: 5 units were asked for, 8 stay (round_to 4)",)


def test_after_the_end_the_optimiser_is_free() -> None:
    run = Run(policy(granularity="neuron", threshold=0.5))
    run.train()
    run.finish()
    fresh = Adam(run.model.parameters())
    run.loss(run.inputs).backward()
    fresh.step()
    run.session.after_step()
    assert all(bool(p.any()) for p in run.model.parameters())


def test_pruning_without_retraining() -> None:
    for fields in ({"epochs": 0, "epoch_threshold": 0}, {"epochs": 2, "epoch_threshold": 2}):
        run = Run(policy(threshold=0.5, granularity="neuron", **fields))
        run.train()
        assert run.session.sparsity == 0.0
        assert [(row.kept, row.total) for row in run.finish().layers] == [(5, 9), (4, 7), (3, 3)]


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_a_policy_that_removes_nothing_is_not_a_success(granularity: str) -> None:
    run = Run(policy(threshold=0.01 if granularity == "neuron" else 0.001, granularity=granularity))
    run.train()
    assert run.finish().infeasible == "the policy removed nothing"


def test_a_network_that_no_longer_looks_at_its_inputs_is_not_a_success() -> None:
    run = Run(policy(threshold=0.5))
    run.train()
    run.model.get_parameter("2.weight").data.zero_()
    assert run.finish().infeasible == "the network collapsed: its outputs no longer depend on its inputs (from 2 on)"


def test_a_layer_that_no_longer_looks_at_its_inputs_is_named_though_others_go_around_it() -> None:
    run = Run(policy(threshold=0.5), network=NETWORKS["resnet20"])
    run.train(until=1)
    run.session.before_epoch(1)
    run.model.get_parameter("stage2.1.conv1.weight").data.zero_()
    for epoch in (2, 3):
        run.session.before_epoch(epoch)
    assert run.finish().infeasible == "collapsed: the outputs of stage2.1.conv1 no longer depend on what goes in"


def test_a_wrong_cut_is_not_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: nn.Module, groups: Any, gone: Gone) -> None:
        physical_cut(model, groups, {name: lost.roll(1) for name, lost in gone.items()})

    monkeypatch.setattr(finishing, "physical_cut", wrong)
    run = Run(policy(threshold=0.5, granularity="neuron"))
    run.train()
    finished = run.finish()
    assert finished.masked_difference > 1e-3
    assert finished.infeasible is not None and "masked and cut network differ by" in finished.infeasible


def test_a_cut_to_another_width_is_not_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "physical_cut", lambda model, groups, gone: None)
    run = Run(policy(threshold=0.5, granularity="neuron"))
    run.train()
    assert run.finish().infeasible == "widths are not what was asked: 0 has 9 instead of 5, 2 has 7 instead of 4"


def test_weights_that_are_not_finite_end_the_trial() -> None:
    run = Run(policy(threshold=0.5))
    run.model.get_parameter("0.weight").data[0, 0] = float("nan")
    with pytest.raises(InfeasibleError, match="scores of 0 are not finite"):
        run.train()


@pytest.mark.parametrize(("epochs", "message"), [((1,), "epoch 0 is next, got 1"), ((0, 1, 1), "epoch 2 is next, got 1")])
def test_no_cut_is_left_out_or_made_twice(epochs: tuple[int, ...], message: str) -> None:
    run = Run(policy(threshold=0.5))
    *right, wrong = epochs
    for epoch in right:
        run.session.before_epoch(epoch)
    with pytest.raises(PolicyError, match=message):
        run.session.before_epoch(wrong)


def test_an_end_before_the_last_epoch_is_refused() -> None:
    run = Run(policy(function="gradual", converge_over=3, threshold=0.5))
    run.train(until=2)
    with pytest.raises(PolicyError, match="epoch 2 is next, got 4; the policy was made for 4 epochs") as error:
        run.finish()
    assert error.value.hint == "policy.rescaled(epochs) fits another number"


class TwoInputs(nn.Module):
    """Words and numbers, by position or by name."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.numbers = nn.Embedding(11, 8), nn.Linear(3, 8)
        self.hidden, self.out = nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, tokens: torch.Tensor, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        both = torch.tanh(self.words(tokens).mean(1) + self.numbers(numbers))
        return {"logits": self.out(torch.relu(self.hidden(both)))}


@pytest.mark.parametrize("by_name", [False, True])
def test_several_inputs_by_position_or_by_name(by_name: bool) -> None:
    tokens, numbers = torch.randint(0, 11, (4, 5)), torch.randn(4, 3)
    example: Any = {"tokens": tokens, "numbers": numbers} if by_name else (tokens, numbers)
    model = TwoInputs()
    session = PruningSession(
        model, policy(epochs=0, epoch_threshold=0, granularity="neuron", threshold=0.5), optimizer=None, example_input=example
    )
    finished = session.finish()
    assert [(row.name, row.kept, row.total) for row in finished.layers] == [("numbers", 4, 8), ("hidden", 3, 6), ("out", 2, 2)]
    assert finished.infeasible is None
    assert model.words.weight.shape == (11, 4) and model.words.embedding_dim == 4


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"criterion": "taylor"}, "criterion 'taylor': needs training data, and there is none"),
    ({"criterion": "snip"}, "criterion 'snip': needs training data"),
    ({"recalibrate_batches": 3}, "recalibrate_batches: needs training data"),
    ({"granularity": "neuron", "criterion": "bn_scale"}, "needs a norm behind every unit, and there is none behind 0, 2"),
    ({"granularity": "filter"}, "nothing is left to prune"),
    ({"granularity": "neuron", "round_to": 8}, r"round_to: 8 is more than the width of 2 \(7\)"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_before_any_training(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        PruningSession(NETWORKS["mlp"].make(), policy(**fields), optimizer=None, example_input=NETWORKS["mlp"].example())


class Logarithm(nn.Module):
    """Looks at the logarithm of what is never negative, as networks of spectrograms and counts do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x + 1e-6)


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_a_network_is_judged_on_inputs_that_it_may_be_given(granularity: str) -> None:
    model = nn.Sequential(Logarithm(), nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    fields = policy(epochs=0, epoch_threshold=0, granularity=granularity, threshold=0.5)
    session = PruningSession(model, fields, optimizer=None, example_input=torch.rand(16, 5) * 10)
    assert session.finish().infeasible is None


class Words(nn.Module):
    """Reads tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.hidden, self.out = nn.Embedding(11, 8), nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(torch.relu(self.hidden(self.words(tokens).mean(1))))
        return out


@pytest.mark.parametrize(("examples", "seen"), [(8, True), (1, False)])
def test_a_network_of_tokens_that_no_longer_looks_at_them_is_not_a_success(examples: int, seen: bool) -> None:
    model, tokens = Words(), torch.randint(0, 11, (examples, 5), generator=torch.Generator().manual_seed(0))
    fields = policy(epochs=0, epoch_threshold=0, threshold=0.5)
    session = PruningSession(model, fields, optimizer=None, example_input=tokens)
    model.hidden.weight.data.zero_()
    told = session.finish().infeasible
    assert told == ("the network collapsed: its outputs no longer depend on its inputs (from hidden on)" if seen else None)


def test_rounding_of_a_network_that_does_not_run_in_float64_is_no_wrong_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(5, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc2(torch.relu(self.fc1(x.float())))
            return out

    def compared(gap: float) -> str | None:
        monkeypatch.setattr(finishing, "largest_difference", lambda one, other: gap)
        fields = policy(epochs=0, epoch_threshold=0, granularity="neuron", threshold=0.5)
        return PruningSession(Single(), fields, optimizer=None, example_input=torch.randn(16, 5)).finish().infeasible

    assert compared(5e-5) is None
    assert "masked and cut network differ" in (compared(5e-3) or "")


def test_a_network_that_changes_its_inputs_in_place_is_given_equal_ones() -> None:
    class Centred(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sub_(1)

    model = nn.Sequential(Centred(), nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    example = torch.randn(4, 5)
    before = example.clone()
    fields = policy(epochs=0, epoch_threshold=0, granularity="neuron", threshold=0.5)
    finished = PruningSession(model, fields, optimizer=None, example_input=example).finish()
    assert finished.infeasible is None and torch.equal(example, before)

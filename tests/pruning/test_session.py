"""The session in a plain loop: what a policy says is what happens to the network, at every step."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adam, Optimizer

from prunesearch.errors import InfeasibleError, PolicyError
from prunesearch.policy import Policy
from prunesearch.pruning import finishing
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.masks import Gone
from prunesearch.pruning.running import outputs
from prunesearch.pruning.session import Finished, PruningSession
from tests.pruning.networks import NETWORKS, Network


def policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 4, "granularity": "weight", "epoch_threshold": 1, **fields})


@dataclass
class Run:
    """One network, trained for a few steps an epoch on random data."""

    policy: Policy
    network: Network = NETWORKS["mlp"]
    kind: type[Optimizer] = Adam
    seed: int = 0
    accuracies: dict[int, float] = field(default_factory=dict)
    target: float | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = self.network.make().train()
        self.optimizer = self.kind(self.model.parameters(), lr=1e-2)  # type: ignore[call-arg]
        self.inputs = torch.randn(40, *self.network.shape, generator=torch.Generator().manual_seed(1))
        self.session = PruningSession(
            self.model,
            self.policy,
            optimizer=self.optimizer,
            example_input=self.network.example(),
            losses=self.losses,
            seed=self.seed,
            target=self.target,
        )

    def losses(self, count: int) -> Iterator[torch.Tensor]:
        return (self.loss(x) for x in self.inputs.split(8)[:count])

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        out = self.model(x)
        return functional.cross_entropy(out, torch.arange(len(x)) % out.shape[1])

    def epoch(self, epoch: int) -> Iterator[int]:
        """Start an epoch, then yield after every step."""
        self.session.before_epoch(epoch, self.accuracies.get(epoch))
        for step, x in enumerate(self.inputs.split(8)):
            self.optimizer.zero_grad()
            self.loss(x).backward()
            self.optimizer.step()
            self.session.after_step()
            yield step

    def train(self, until: int | None = None) -> None:
        for epoch in range(self.policy.epochs if until is None else until):
            for _ in self.epoch(epoch):
                pass

    def finish(self) -> Finished:
        return self.session.finish(self.accuracies.get(self.policy.epochs))

    def zeros(self, *names: str) -> list[int]:
        return [int((self.model.get_parameter(n) == 0).sum()) for n in names]


WEIGHTS = ("0.weight", "2.weight")  # 108 and 63 of the multi-layer perceptron; the output layer is spared
TOTAL = 108 + 9 + 63 + 7 + 21 + 3


EXACT = [
    ({"scope": "layer", "threshold": 0.7}, [75, 44]),
    ({"scope": "ratios", "ratio": {"default": 0.5, "2": 0.9}}, [54, 56]),
    ({"scope": "layer", "threshold": 0.5, "only": ["2"]}, [0, 31]),
    ({"scope": "layer", "threshold": 0.99, "min_units": 10}, [98, 53]),
]


@pytest.mark.parametrize(("fields", "zeros"), EXACT)
def test_exactly_as_many_weights_go_as_were_asked(fields: dict[str, Any], zeros: list[int]) -> None:
    run = Run(policy(**fields))
    run.train()
    assert run.zeros(*WEIGHTS) == zeros
    finished = run.finish()
    assert run.zeros(*WEIGHTS) == zeros
    assert [row.total - row.kept for row in finished.layers] == [*zeros, 0]
    assert finished.sparsity == sum(zeros) / sum(p.numel() for p in run.model.parameters())


def test_the_global_count_is_exact_over_all_groups() -> None:
    run = Run(policy(scope="global", threshold=0.61))
    run.train()
    assert sum(run.zeros(*WEIGHTS)) == math.floor((108 + 63) * 0.61)


def test_biases_and_the_output_layer_go_only_when_asked() -> None:
    run = Run(policy(threshold=0.5, prune_bias=True, prune_output_layer=True))
    run.train()
    pairs = [run.zeros(f"{i}.weight", f"{i}.bias") for i in (0, 2, 4)]
    assert [sum(pair) for pair in pairs] == [(108 + 9) // 2, (63 + 7) // 2, (21 + 3) // 2]
    assert [row.total for row in run.finish().layers] == [117, 70, 24]


@pytest.mark.parametrize("kind", [Adam, SGD])
@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_masks_hold_after_every_step_in_weights_gradients_and_moments(granularity: str, kind: type[Optimizer]) -> None:
    run = Run(policy(granularity=granularity, threshold=0.6), kind=kind)
    run.train(until=1)
    for _ in run.epoch(1):
        gone = {name: p == 0 for name, p in run.model.named_parameters()}
        assert sum(int(g.sum()) for g in gone.values()) == round(run.session.sparsity * TOTAL)
        for name, parameter in run.model.named_parameters():
            assert parameter.grad is not None and not bool(parameter.grad[gone[name]].any())
            moments = [v for v in run.optimizer.state[parameter].values() if v is not None and v.shape == parameter.shape]
            assert all(not bool(moment[gone[name]].any()) for moment in moments)
    assert run.session.sparsity > 0.3


class Restless(SGD):
    """An optimiser that moves every weight, whatever its gradient."""

    def step(self, closure: Any = None) -> Any:
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.add_(0.1)


def test_masks_hold_whatever_the_optimiser_does() -> None:
    run = Run(policy(threshold=0.5), kind=Restless)
    run.train(until=1)
    for _ in run.epoch(1):
        assert run.zeros(*WEIGHTS) == [54, 31]


def test_one_shot_grows_back_inside_an_epoch_and_is_measured_masked() -> None:
    run = Run(policy(function="one_shot", threshold=0.5))
    run.train(until=1)
    for _ in run.epoch(1):
        assert run.zeros(*WEIGHTS) == [0, 0]
    own = copy.deepcopy(run.model.state_dict())
    with run.session.measuring():
        assert run.zeros(*WEIGHTS) == [54, 31] and run.session.sparsity == 85 / TOTAL
        measured = copy.deepcopy(run.model.state_dict())
    assert all(torch.equal(own[n], t) for n, t in run.model.state_dict().items())
    run.session.before_epoch(2)
    assert all(torch.equal(measured[n], t) for n, t in run.model.state_dict().items())
    run.train(until=0)
    run.session.before_epoch(3)
    assert run.finish().infeasible is None and run.zeros(*WEIGHTS) == [54, 31]


def test_a_free_cut_leaves_the_moments_alone() -> None:
    run = Run(policy(function="one_shot", threshold=0.5))
    run.train(until=1)
    moments = copy.deepcopy([state["exp_avg"] for state in run.optimizer.state.values()])
    run.session.before_epoch(1)
    assert all(torch.equal(a, state["exp_avg"]) for a, state in zip(moments, run.optimizer.state.values(), strict=True))


@pytest.mark.parametrize("function", ["one_shot_static", "gradual", "iterative"])
def test_enforced_schedules_are_measured_as_they_are(function: str) -> None:
    run = Run(policy(function=function, threshold=0.5))
    run.train(until=2)
    own = copy.deepcopy(run.model.state_dict())
    with run.session.measuring():
        assert all(torch.equal(own[n], t) for n, t in run.model.state_dict().items())


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", ["l1", "random", "taylor"])
@pytest.mark.parametrize("function", ["gradual", "iterative"])
def test_masks_are_nested(function: str, criterion: str, scope: str, granularity: str) -> None:
    extra = {"converge_over": 3} if function == "gradual" else {"prune_iter": 3}
    run = Run(policy(function=function, criterion=criterion, scope=scope, granularity=granularity, threshold=0.8, **extra))
    before = {n: torch.zeros_like(p, dtype=torch.bool) for n, p in run.model.named_parameters()}
    counts = []
    for epoch in range(4):
        for _ in run.epoch(epoch):
            pass
        now = {n: p == 0 for n, p in run.model.named_parameters()}
        assert all(bool((now[n] | ~was).all()) for n, was in before.items())
        before = now
        counts.append(sum(int(g.sum()) for g in now.values()))
    assert counts == sorted(counts) and counts[0] == 0 and counts[1:] != sorted(set(counts[1:]))[:1] * 3


@pytest.mark.parametrize(("rewind_to", "granularity"), [(0, "weight"), (1, "weight"), (0, "neuron")])
def test_rewinding_restores_what_is_left_exactly_and_resets_the_optimiser(rewind_to: int, granularity: str) -> None:
    fields = {"recovery": "rewind_weights", "rewind_to": rewind_to, "granularity": granularity}
    run = Run(policy(epoch_threshold=2, threshold=0.5, **fields))
    run.train(until=rewind_to)
    then = copy.deepcopy(run.model.state_dict())
    for epoch in range(rewind_to, 2):
        for _ in run.epoch(epoch):
            pass
    start = run.session.before_epoch(2)
    assert start.optimizer_reset and not run.optimizer.state
    for name, value in run.model.state_dict().items():
        stays = value != 0
        assert torch.equal(value[stays], then[name][stays])
        assert (name in WEIGHTS) <= bool((~stays).any())


def test_lottery_ticket_rewinds_at_every_round() -> None:
    run = Run(policy(function="iterative", prune_iter=3, recovery="rewind_weights", threshold=0.7, epoch_threshold=1))
    initial = copy.deepcopy(run.model.state_dict())
    for epoch in range(4):
        run.session.before_epoch(epoch)
        if epoch:
            left = {n: p != 0 for n, p in run.model.named_parameters()}
            assert all(torch.equal(p[left[n]], initial[n][left[n]]) for n, p in run.model.named_parameters())
        for parameter in run.model.parameters():
            parameter.data.mul_(1.5)


def test_drawing_anew_is_of_the_smaller_network_and_restarts() -> None:
    run = Run(policy(granularity="neuron", recovery="reinit", threshold=0.5), network=NETWORKS["lenet5"])
    run.train(until=1)
    start = run.session.before_epoch(1)
    assert start.optimizer_reset and start.lr_restart and start.lr_length == 3
    fc2 = run.model.get_parameter("fc2.weight").detach()
    kept = fc2[:, fc2.any(0)]
    assert kept.shape[1] == 250 and 250**-0.5 * 0.99 < float(kept.abs().max()) <= 250**-0.5


COME_BACK: list[tuple[dict[int, float], float | None, list[float]]] = [
    ({1: 0.9, 2: 0.9, 3: 0.9, 4: 0.9}, 0.6, [0.4, 0.5, 0.6]),
    ({1: 0.9, 2: 0.5, 3: 0.895, 4: 0.1}, 0.4, [0.4, 0.4, 0.5]),
    ({1: 0.9, 2: 0.5, 3: 0.5, 4: 0.5}, None, [0.4, 0.4, 0.4]),
]


@pytest.mark.parametrize(("accuracies", "answer", "levels"), COME_BACK)
def test_rewind_pruning_answers_with_the_sparsest_level_that_came_back(
    accuracies: dict[int, float], answer: float | None, levels: list[float]
) -> None:
    fields = {"schedule_type": "rewind_pruning", "threshold": 0.4, "threshold_step": 0.1, "eps": 0.01, "recovery_epochs": 2}
    run = Run(policy(**fields), accuracies=accuracies)
    seen, ends = [], []
    for epoch in range(4):
        for _ in run.epoch(epoch):
            pass
        seen.append(sum(run.zeros(*WEIGHTS)))
        ends.append(copy.deepcopy(run.model.state_dict()))
    assert seen == [0, *(math.floor(108 * level) + math.floor(63 * level) for level in levels)]
    finished = run.finish()
    assert finished.recovered is (answer is not None)
    last = 3 if answer is None else max(e for e in range(4) if seen[e] == math.floor(108 * answer) + math.floor(63 * answer))
    assert all(torch.equal(ends[last][n], t) for n, t in run.model.state_dict().items())
    assert finished.sparsity == seen[last] / TOTAL
    told = "no level came back" if answer is None else f"level {answer:g} came back"
    assert told in finished.notes[-1]


UNITS = [
    ("mlp", {"granularity": "neuron", "threshold": 0.5}, {"0": (5, 9), "2": (4, 7), "4": (3, 3)}),
    ("lenet5", {"granularity": "filter", "threshold": 0.9}, {"conv1": (2, 20), "conv2": (5, 50)}),
    (
        "lenet5",
        {"granularity": "unit", "threshold": 0.5, "round_to": 8},
        {"conv1": (16, 20), "conv2": (32, 50), "fc1": (256, 500)},
    ),
    ("grouped", {"granularity": "filter", "threshold": 0.5}, {"stem": (2, 4), "mid": (3, 6)}),
    ("gated", {"granularity": "neuron", "threshold": 0.34}, {"both": (4, 6)}),
]


@pytest.mark.parametrize(("name", "fields", "widths"), UNITS)
def test_widths_reached_are_widths_asked(name: str, fields: dict[str, Any], widths: dict[str, tuple[int, int]]) -> None:
    run = Run(policy(**fields), network=NETWORKS[name])
    dense = sum(p.numel() for p in run.model.parameters())
    run.train()
    masked = outputs(run.model, run.inputs)
    finished = run.finish()
    rows = {row.name: (row.kept, row.total) for row in finished.layers}
    assert {k: rows[k] for k in widths} == widths
    assert finished.infeasible is None and finished.masked_difference <= 1e-5
    torch.testing.assert_close(outputs(run.model, run.inputs), masked, rtol=1e-4, atol=1e-5)
    assert finished.sparsity == pytest.approx(1 - sum(p.numel() for p in run.model.parameters()) / dense)
    first = run.model.get_parameter(f"{next(iter(widths))}.weight")
    share = 2 if name in ("grouped", "gated") else 1  # the stem's units are two channels, one for each group of `mid`
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
    assert run.finish().infeasible == "the network collapsed: its outputs no longer depend on its inputs"


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


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"criterion": "taylor"}, "criterion 'taylor': needs training data, and there is none"),
    ({"criterion": "snip"}, "criterion 'snip': needs training data"),
    ({"recalibrate_batches": 3}, "recalibrate_batches: needs training data"),
    ({"granularity": "neuron", "criterion": "bn_scale"}, "no norm stands behind 0, 2"),
    ({"granularity": "filter"}, "nothing is left to prune"),
    ({"granularity": "neuron", "round_to": 8}, r"round_to: 8 is more than the width of 2 \(7\)"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_before_any_training(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        PruningSession(NETWORKS["mlp"].make(), policy(**fields), optimizer=None, example_input=NETWORKS["mlp"].example())


@pytest.mark.parametrize("criterion", ["l1", "l2", "linf", "random", "taylor", "obd", "snip", "magnitude_increase", "lamp"])
def test_every_criterion_for_weights_runs(criterion: str) -> None:
    run = Run(policy(criterion=criterion, scope="global", threshold=0.5))
    run.train()
    assert sum(run.zeros(*WEIGHTS)) == 85 and run.finish().infeasible is None


@pytest.mark.parametrize("criterion", ["l1", "l2", "linf", "random", "taylor", "obd", "fpgm", "bn_scale"])
def test_every_criterion_for_units_runs(criterion: str) -> None:
    fields = {"granularity": "filter", "criterion": criterion, "scope": "global", "threshold": 0.5}
    run = Run(policy(only=["stem"], **fields), network=NETWORKS["depthwise"])
    run.train()
    finished = run.finish()
    assert finished.infeasible is None and finished.layers[0].kept == 4


def test_draws_follow_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        run = Run(policy(criterion="random", threshold=0.5))
        run.session = PruningSession(
            run.model, run.policy, optimizer=run.optimizer, example_input=run.inputs[:2], losses=run.losses, seed=seed
        )
        run.train()
        return run.model.get_parameter("0.weight").detach() == 0

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_recalibration_follows_the_cut() -> None:
    run = Run(policy(granularity="filter", threshold=0.5, recalibrate_batches=5), network=NETWORKS["depthwise"])
    run.train(until=1)
    run.session.before_epoch(1)
    conv: torch.Tensor = run.model.get_submodule("stem")(run.inputs)
    batches = torch.stack([part.mean((0, 2, 3)) for part in conv.detach().split(8)])
    torch.testing.assert_close(run.model.get_buffer("norm.running_mean"), batches.mean(0))

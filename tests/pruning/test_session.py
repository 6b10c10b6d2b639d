"""The session in a plain loop: what a policy says is what happens to the network, at every step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import optim
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, Optimizer

from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.enforcing import Enforcer
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import NETWORKS
from tests.pruning.plain_loop import TOTAL, WEIGHTS, Run, policy

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


OPTIMISERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "sgd-damped": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, maximize=True),
    "adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1, amsgrad=True),
    "adam-fused": lambda p: optim.Adam(p, lr=0.1, fused=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.5, foreach=True),
    "adamax": lambda p: optim.Adamax(p, lr=0.1, weight_decay=0.1),
    "nadam": lambda p: optim.NAdam(p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda p: optim.RAdam(p, lr=0.1, weight_decay=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True, weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, weight_decay=0.1, initial_accumulator_value=0.1),
    "adadelta": lambda p: optim.Adadelta(p, lr=1.0, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_zeros_stay_zero_under_every_optimiser_that_is_trusted_with_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut after one trained epoch, when moments are there; from then on nobody multiplies the weights."""
    run = Run(policy(threshold=0.5), kind=lambda parameters, lr: OPTIMISERS[name](parameters))
    run.train(until=1)
    held = run.session.before_epoch(1)
    gone = {n: p == 0 for n, p in run.model.named_parameters() if n in WEIGHTS}
    monkeypatch.setattr(Enforcer, "hold_weights", lambda self: pytest.fail("the weights are multiplied"))
    for _ in range(4):
        for x in run.inputs.split(8):
            run.optimizer.zero_grad()
            run.loss(x).backward()
            run.optimizer.step()
            run.session.after_step()
            assert held.cut is not None and all(bool((run.model.get_parameter(n)[g] == 0).all()) for n, g in gone.items())


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


@pytest.mark.parametrize("by_name", [True, False])
def test_masks_hold_where_a_closure_computes_the_gradients(by_name: bool) -> None:
    """As Lightning steps: when the optimiser is about to step, there are no gradients yet."""
    run, plain = (Run(policy(threshold=0.6, function="one_shot_static")) for _ in range(2))
    for each in (run, plain):
        each.train(until=1)
        each.session.before_epoch(1)
    x = run.inputs[:8]

    def closure() -> float:
        run.optimizer.zero_grad()
        loss = run.loss(x)
        loss.backward()
        return float(loss.detach())

    for _ in range(3):
        run.optimizer.step(closure=closure) if by_name else run.optimizer.step(closure)
        run.session.after_step()
        plain.optimizer.zero_grad()
        plain.loss(x).backward()
        plain.optimizer.step()
        plain.session.after_step()
    assert run.zeros(*WEIGHTS) == plain.zeros(*WEIGHTS) == [64, 37]
    assert all(torch.equal(p, q) for p, q in zip(run.model.parameters(), plain.model.parameters(), strict=True))


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_gradients_can_be_masked_before_they_are_clipped(granularity: str) -> None:
    """Their norm is then that of the network that is left: for units, of the one that is cut."""
    run = Run(policy(threshold=0.6, granularity=granularity, function="one_shot_static"))
    run.train(until=2)
    run.optimizer.zero_grad()
    run.loss(run.inputs[:8]).backward()
    before = float(clip_grad_norm_(run.model.parameters(), 1e9))
    run.session.mask_gradients()
    masked = float(clip_grad_norm_(run.model.parameters(), 1e9))
    left = copy.deepcopy(run.model)
    left.zero_grad()
    physical_cut(left, run.session.chosen, run.session.gone)
    functional.cross_entropy(left(run.inputs[:8]), torch.arange(8) % 3).backward()
    grads = [p.grad * (p != 0) for p in left.parameters() if p.grad is not None]
    assert masked == pytest.approx(float(torch.nn.utils.get_total_norm(grads)), rel=1e-5) and masked < 0.999 * before


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


def test_the_answer_of_rewind_pruning_is_told_with_the_notes_of_its_own_cut() -> None:
    """At .9 the cut stops short of what was asked for; the level that came back, .4, did not."""
    fields = {"schedule_type": "rewind_pruning", "threshold": 0.4, "threshold_step": 0.5, "eps": 0.01, "recovery_epochs": 1}
    run = Run(policy(**fields, granularity="neuron", min_units=3), accuracies={1: 0.9, 2: 0.9, 3: 0.1, 4: 0.1})
    run.train()
    notes = run.finish().notes
    assert len(notes) == 1 and "level 0.4 came back" in notes[0]

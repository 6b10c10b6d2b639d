"""What pruning costs while a network trains: masks held after every step, and selections.

    python -m benchmarks costs [--rounds 60] [--page docs/policies.md]

LeNet-300-100 in batches of 128 with fused Adam, one thread, on random images of MNIST's size, in steps of this kind: forward,
backward, optimiser, `after_step`. Networks without masks and with them take turns of 20 steps; the figure is the median
over rounds of one against the other in the same round. Times are processor times of the one thread, which a neighbour
disturbs less than the clock on the wall. Then whole trials of 10 epochs of 469 steps, as a session sees them: how much of their
time goes into `before_epoch`, `measuring` and `finish`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import thread_time
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.machine import in_words
from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from prunesearch.models.mlp import mlp
from prunesearch.policy import Policy
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.pruning.session import PruningSession
from prunesearch.schedules.markdown import table, with_block
from prunesearch.training.loop import nothing

BATCH, STEPS, EPOCHS, EPOCH_STEPS = 128, 20, 10, 469
LIMITS = {"masks": 0.05, "selection": 0.02}
MASKS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "masks of single weights, 90 %": {"granularity": "weight", "threshold": 0.9},
        "masks of neurons, 50 %": {"granularity": "neuron", "threshold": 0.5},
    }
)
SELECTIONS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "gradual, weight, global, l1": {"function": "gradual", "scope": "global", "converge_over": 8, "threshold": 0.9},
        "one_shot, weight, layer, l1": {"function": "one_shot", "threshold": 0.9},
        "iterative, weight, global, taylor": {"function": "iterative", "criterion": "taylor", "scope": "global", "prune_iter": 5},
        "gradual, neuron, global, l2": {
            "function": "gradual",
            "granularity": "neuron",
            "scope": "global",
            "criterion": "l2",
            "converge_over": 8,
        },
        "rewind_pruning, weight, global, l1": {"schedule_type": "rewind_pruning", "scope": "global", "epoch_threshold": 2},
    }
)


@dataclass
class Training:
    """One network in training, with a session or without."""

    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    optimizer: torch.optim.Optimizer
    session: PruningSession | None = None

    @classmethod
    def of(cls, policy: Policy | None, groups: Groups) -> Training:
        """A fresh network on random images."""
        torch.manual_seed(0)
        model = mlp((784, 300, 100, 10))
        x, y = torch.randn(BATCH, 784), torch.randint(10, (BATCH,))
        made = cls(model, x, y, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True))
        if policy is not None:
            made.session = PruningSession(
                model, policy, optimizer=made.optimizer, example_input=x[:2], groups=groups, losses=made.losses
            )
        return made

    def losses(self, count: int) -> Any:
        """The losses of some batches."""
        return (cross_entropy(self.model(self.x), self.y) for _ in range(count))

    def steps(self, count: int) -> float:
        """Seconds of so many training steps."""
        after_step: Callable[[], None] = self.session.after_step if self.session else nothing
        began = thread_time()
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            cross_entropy(self.model(self.x), self.y).backward()
            self.optimizer.step()
            after_step()
        return thread_time() - began


def mask_costs(rounds: int, groups: Groups) -> dict[str, float]:
    """Per kind of mask, what it adds to a step: the median share over rounds."""
    trainings = {"dense": Training.of(None, groups)}
    for name, fields in MASKS.items():
        policy = Policy.parse({"epochs": 1, "function": "one_shot_static", "epoch_threshold": 0, **fields})
        trainings[name] = Training.of(policy, groups)
        session = trainings[name].session
        if session is not None:
            session.before_epoch(0)
    taken: dict[str, list[float]] = {name: [] for name in trainings}
    for _ in range(rounds + 3):  # three to warm up
        for name, training in trainings.items():
            taken[name].append(training.steps(STEPS))
    dense = taken["dense"][3:]
    shares = {n: [t / d - 1 for t, d in zip(ts[3:], dense, strict=True)] for n, ts in taken.items() if n != "dense"}
    return {name: median(values) for name, values in shares.items()}


def selection_cost(fields: dict[str, Any], groups: Groups) -> float:
    """The share of a trial's time that goes into the session's own work between epochs."""
    policy = Policy.parse({"epochs": EPOCHS, "epoch_threshold": 1, "threshold": 0.5, **fields})
    training = Training.of(policy, groups)
    session, own, began = training.session, 0.0, thread_time()
    assert session is not None  # it was given a policy
    for epoch in range(EPOCHS):
        started = thread_time()
        session.before_epoch(epoch, 0.5)
        own += thread_time() - started
        training.steps(EPOCH_STEPS)
        started = thread_time()
        with session.measuring():
            pass
        own += thread_time() - started
    started = thread_time()
    session.finish(0.5)
    return (own + thread_time() - started) / (thread_time() - began)


def block(runs: list[Run]) -> str:
    """The figures as a table, with command, date and machine."""
    last = runs[-1]
    rows = [[run["what"], run["kind"], f"{run['share']:.1%}", f"{LIMITS[run['kind']]:.0%}"] for run in runs]
    told = f"`python -m benchmarks costs`, {last['date']}, one thread, load {last['load']}. {in_words(last['machine'])}."
    return f"{told}\n\n{table(['what', 'share of', 'measured', 'allowed'], _worded(rows))}"


def _worded(rows: list[list[str]]) -> list[list[str]]:
    of = {"masks": "a training step, added", "selection": "a trial of 10 epochs"}
    return [[what, of[kind], *figures] for what, kind, *figures in rows]


def main() -> None:
    """Measure and put the figures into the page; exit code 1 where something costs more than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "policies.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    groups = find_groups(mlp((784, 300, 100, 10)), torch.randn(2, 784))
    record = Record("costs", ROOT / "benchmarks", fresh=True)
    for what, share in mask_costs(given.rounds, groups).items():
        record.add({"what": what}, {"kind": "masks", "share": share})
    for what, fields in SELECTIONS.items():
        record.add({"what": what}, {"kind": "selection", "share": selection_cost(fields, groups)})
    runs = record.runs
    print(block(runs))
    given.page.write_text(with_block(given.page.read_text(encoding="utf-8"), "costs", block(runs)), encoding="utf-8")
    dear = [run["what"] for run in runs if run["share"] > LIMITS[run["kind"]]]
    if dear:
        raise SystemExit(f"more than is allowed: {', '.join(dear)}")


if __name__ == "__main__":
    main()

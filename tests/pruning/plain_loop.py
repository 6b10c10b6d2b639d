"""The plain training loop in which the session's tests run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from torch.optim import Adam, Optimizer

from prunesearch.policy import Policy
from prunesearch.pruning.session import Finished, PruningSession
from tests.pruning.networks import NETWORKS, Network


def policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 4, "granularity": "weight", "epoch_threshold": 1, **fields})


@dataclass
class Run:
    """One network, trained for a few steps an epoch on random data."""

    policy: Policy
    network: Network = NETWORKS["mlp"]
    kind: Callable[..., Optimizer] = Adam
    seed: int = 0
    accuracies: dict[int, float] = field(default_factory=dict)
    target: float | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = self.network.make().train()
        self.optimizer = self.kind(self.model.parameters(), lr=1e-2)
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

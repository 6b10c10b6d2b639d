"""Stages: the tree of training histories that trials share, so that no epoch is trained twice.

A trial walks down the tree epoch by epoch. Where an epoch's outcome is known it takes the row and goes on without
touching the network; the network is brought up to date from the snapshot only when something needs it: a cut, an epoch
that nobody trained yet, the end. A network that has come so far equals one that was trained from scratch, bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from torch import nn
from torch.optim import Optimizer

from prunesearch.policy import Policy
from prunesearch.results import EpochRow
from prunesearch.schedules.base import Order
from prunesearch.training.snapshots import SnapshotStore
from prunesearch.training.stage_key import next_key
from prunesearch.training.state import NotCapturable, capture, put_network, put_optimizer

log = logging.getLogger(__name__)


class StageLost(Exception):
    """A snapshot that was there a moment ago is gone or damaged: the trial starts again and trains what is missing."""


@dataclass
class Stages:
    """One trial's way down the tree.

    Args:
        store: where stages are kept; None: this trial shares with nobody.
        key: the stage that training starts from, k(0).
        policy: the trial's, None for the dense network.
        model: the network that is trained.
        optimizer: the one that trains it.
        between: called while waiting for another process.
        lost: stages whose snapshots were missed: they count as known only where their tensors are there again.
        own: stages that this trial has trained itself, in an earlier try too.
        ahead: nobody counts the epochs of this trial; who takes such an epoch first counts it as trained by itself.
    """

    store: SnapshotStore | None
    key: str
    policy: Policy | None
    model: nn.Module
    optimizer: Optimizer
    between: Callable[[], None]
    lost: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    ahead: bool = False
    _behind: bool = field(default=False, init=False)
    _pruned: bool = field(default=False, init=False)
    _standing: str = field(default="", init=False)

    def go_on(self, order: Order | None, rates: Sequence[float]) -> EpochRow | None:
        """Step to the stage after the next epoch; its row where another trial has trained it.

        Args:
            order: what was ordered before the epoch.
            rates: factors of its learning rates.
        """
        if self.store is None:
            return None
        self.key = next_key(self.key, self.policy, order, rates)
        self._pruned = self._pruned or order is not None
        return self._known()

    @contextmanager
    def training(self) -> Iterator[EpochRow | None]:
        """Hold the right to train the epoch; gives its row where somebody else has just trained it."""
        if self.store is None:
            yield None
            return
        with self.store.claimed(self.key, self.between):
            yield self._known()

    def catch_up(self) -> None:
        """Bring network and optimiser to the state of the stage before something looks at them.

        Raises:
            StageLost: the snapshot is gone.
        """
        if not self._behind or self.store is None:
            return
        tensors = self.store.get(self._standing)
        if tensors is None:
            raise StageLost(self._standing)
        try:
            put_network(self.model, tensors)
            put_optimizer(self.model, self.optimizer, tensors)
        except (KeyError, ValueError) as problem:
            self.store.drop(self._standing, f"it is of another network: {problem}")
            raise StageLost(self._standing) from problem
        self._behind = False

    def trained(self, row: EpochRow) -> None:
        """Keep what was just trained."""
        if self.store is None:
            return
        try:
            tensors = capture(self.model, self.optimizer)
        except NotCapturable as problem:
            log.warning("epochs are not shared: %s", problem)
            self.store = None
            return
        self.own.add(self.key)
        self.store.put(self.key, tensors, {"row": asdict(row), "dense": not self._pruned, "ahead": self.ahead})

    def _known(self) -> EpochRow | None:
        if self.store is None or (self.key in self.lost and not self.store.has(self.key)):
            return None
        facts = self.store.facts(self.key)
        if facts is None:
            return None
        try:
            row = EpochRow(**facts["row"])
        except (KeyError, TypeError):
            self.store.drop(self.key, "another version has written its facts")
            return None
        self._behind, self._standing = True, self.key
        counts = facts.get("ahead", False) and not self.ahead
        if counts:
            self.store.amend(self.key, {**facts, "ahead": False})
        return replace(row, shared=not counts and self.key not in self.own)

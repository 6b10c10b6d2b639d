"""The course of one training run: epoch after epoch under a session's orders, along the stages that others have trained."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import nn
from torch.optim import Optimizer

from prunesearch.measure.accuracy import metric_of
from prunesearch.policy import Policy
from prunesearch.pruning.session import EpochStart, PruningSession
from prunesearch.results import EpochRow
from prunesearch.tasks.types import Batch
from prunesearch.training.clock import Clock
from prunesearch.training.data import Batches
from prunesearch.training.graphs import CudaCapture, can_be_graphed
from prunesearch.training.learning_rate import Recipe, Segment
from prunesearch.training.loop import Loop, nothing, train_epoch
from prunesearch.training.numerics import Numerics
from prunesearch.training.optimizers import make_optimizer
from prunesearch.training.prepare import Prepared
from prunesearch.training.recorder import Recorder
from prunesearch.training.snapshots import SnapshotStore
from prunesearch.training.stage_key import root_key
from prunesearch.training.stages import StageLost, Stages

log = logging.getLogger(__name__)


class TrialFailure(Exception):
    """The trial cannot go on: the reason, in one line."""


@dataclass(frozen=True)
class Setting:
    """What all training runs of a process have in common.

    Args:
        prepared: the task on its device.
        between: called between batches and while waiting: lets a latency measurement have the device.
        snapshots: where stages are kept; None: nothing is shared.
        fast: whether training computes in fewer bits.
        sample: hash of what a user's loader gives first; part of the names of stages.
        graphs: whether training steps are recorded as CUDA graphs where they can be.
    """

    prepared: Prepared
    between: Callable[[], None]
    snapshots: SnapshotStore | None = None
    fast: bool = False
    sample: str = ""
    graphs: bool = False

    @property
    def graphed(self) -> bool:
        """Whether steps are recorded here."""
        task = self.prepared.task
        return self.graphs and can_be_graphed(task.optimizer, task.train_epoch, self.prepared.device)


@dataclass
class Course:
    """One network from its first epoch to its last.

    Args:
        setting: the task and the machine.
        policy: what is done to the network; None: it stays dense.
        epochs: to train.
        seed: of everything that is drawn.
        clock: is told what the time is spent on.
        recorder: is shown the network before the first step and after every epoch, those of others' stages among them.
        ahead: it is run for the stages that it leaves to others.
        exact: it computes in float32, whatever the setting.
    """

    setting: Setting
    policy: Policy | None
    epochs: int
    seed: int
    clock: Clock
    ahead: bool = False
    exact: bool = False
    rows: list[EpochRow] = field(default_factory=list)
    recorder: Recorder | None = None
    model: nn.Module = field(init=False)
    session: PruningSession | None = field(init=False, default=None)
    accuracy: float | None = field(init=False, default=None)
    _lost: set[str] = field(init=False, default_factory=set)
    _own: set[str] = field(init=False, default_factory=set)

    def run(self) -> None:
        """Train all epochs; afterwards `model`, `session` and `accuracy` (validation, after the last epoch) are there.

        Raises:
            TrialFailure: loss or metric is not a number.
        """
        snapshots = self.setting.snapshots if self._prepared.info.shares else None
        for _ in range(self.epochs + 1 if snapshots else 0):
            try:
                return self._go(snapshots)
            except StageLost as lost:  # damaged or evicted; the next attempt trains it, from the one before where that is there
                log.warning("stage %s is lost; its epochs are trained again", str(lost)[:12])
                self._lost.add(str(lost))
                self.rows.clear()
        return self._go(None)

    def signed(self, metric: float | None) -> float | None:
        """The metric as schedules compare it: larger is better."""
        return metric if metric is None or self._prepared.task.goal == "maximize" else -metric

    @property
    def numerics(self) -> Numerics:
        """How it computes."""
        return Numerics(self._prepared.device, fast=self.setting.fast and not self.exact)

    def measured(self, split: Batches) -> float:
        """The task's metric on a split, in float32.

        Raises:
            TrialFailure: it is not a number.
        """
        task = self._prepared.task
        with self.clock.on("validate"):
            value = metric_of(task, self.model, self.ordered(split))
        if not math.isfinite(value):
            raise TrialFailure(f"the {task.metric_name} became {value} after {len(self.rows)} epochs")
        return value

    def ordered(self, split: Batches) -> Iterator[Batch]:
        """All examples of a split; between two batches a latency measurement may have the device."""
        for batch in split.ordered():
            yield batch
            self.setting.between()

    @property
    def _prepared(self) -> Prepared:
        return self.setting.prepared

    def _go(self, snapshots: SnapshotStore | None) -> None:
        prepared = self._prepared
        self.model = prepared.fresh(self.seed)
        optimizer = make_optimizer(prepared.task, self.model, graphed=self.setting.graphed)
        self.accuracy = self._validated() if prepared.state is not None else None
        self.session = self._session(optimizer)
        if self.recorder:
            self.recorder.begin(self.model)
        stages = self._stages(optimizer, snapshots)
        loop, segment = self._loop(optimizer), Segment(0, self.epochs)
        for epoch in range(self.epochs):
            began = self.clock.seconds
            start = self._started(stages, epoch)
            segment = _next_segment(segment, start, epoch, optimizer)
            rates = segment.rates(Recipe.of(prepared.task), epoch, prepared.splits.train.steps)
            order = start.decision.order if start else None
            row = stages.go_on(order, rates) or self._trained(stages, loop, epoch, rates, began)
            self.accuracy = row.accuracy
            self.rows.append(row)
            self._record(stages, row)
        stages.catch_up()

    def _record(self, stages: Stages, row: EpochRow) -> None:
        """Show the recorder the network as it was measured; of an epoch that others trained, it is their snapshot."""
        if self.recorder is None:
            return
        stages.catch_up()
        with self.session.measuring() if self.session else nullcontext():
            self.recorder.epoch(row, self.model, self.session)

    def _started(self, stages: Stages, epoch: int) -> EpochStart | None:
        """What the session does before an epoch; the network is brought up to date only where it looks at it."""
        if self.session is None:
            return None
        accuracy = self.signed(self.accuracy)
        with self.clock.on("select"):
            if self.session.needs_network(epoch, accuracy):
                stages.catch_up()
            return self.session.before_epoch(epoch, accuracy)

    def _trained(self, stages: Stages, loop: Loop, epoch: int, rates: Sequence[float], began: float) -> EpochRow:
        """Train one epoch and measure, unless another process has just done so."""
        with stages.training() as known:
            if known is not None:
                return known
            stages.catch_up()
            with self.clock.on("train"), self.numerics.training():
                loss = train_epoch(loop, epoch, rates)
            rate = float(loop.optimizer.param_groups[0]["base_lr"]) * rates[0]
            if not math.isfinite(loss):
                raise TrialFailure(f"the training loss became {loss} in epoch {epoch} (learning rate {rate:.3g})")
            with self.session.measuring() if self.session else nullcontext():
                accuracy = self._validated()
                sparsity = self.session.sparsity if self.session else 0.0
            row = EpochRow(epoch, loss, accuracy, rate, sparsity, self.clock.seconds - began)
            stages.trained(row)
        return row

    def _validated(self) -> float:
        """The metric on the validation split, as schedules see it."""
        with self.numerics.validating():
            return self.measured(self._prepared.splits.val)

    def _session(self, optimizer: Optimizer) -> PruningSession | None:
        if self.policy is None:
            return None
        return PruningSession(
            self.model,
            self.policy,
            optimizer=optimizer,
            example_input=self._prepared.example,
            groups=self._prepared.groups,
            losses=self._losses,
            seed=self.seed,
            target=self.signed(self.accuracy),
            shrink=True,
        )

    def _losses(self, count: int) -> Iterable[torch.Tensor]:
        """Losses of the first training batches of an order of their own; the session sees to modes and generators."""
        for x, y in islice(self._prepared.splits.train.shuffled(self.seed, -1), count):
            yield self._prepared.loss(self.model(x), y)

    def _stages(self, optimizer: Optimizer, snapshots: SnapshotStore | None) -> Stages:
        prepared = self._prepared
        graphs = " graphs" if self.setting.graphed else ""
        mode = f"{self.numerics.words} channels_last={prepared.channels_last} shrink{self.setting.sample}{graphs}"
        key = root_key(prepared.info.digest, self.seed, mode, prepared.device) if snapshots else ""
        between = self.setting.between
        return Stages(snapshots, key, self.policy, self.model, optimizer, between, self._lost, self._own, self.ahead)

    def _loop(self, optimizer: Optimizer) -> Loop:
        return Loop(
            model=self.model,
            optimizer=optimizer,
            loss=self._prepared.loss,
            batches=self._prepared.splits.train,
            seed=self.seed,
            after_step=self.session.after_step if self.session else nothing,
            between=self.setting.between,
            own=self._prepared.task.train_epoch,
            forward=self.numerics.forward,
            capture=CudaCapture(self._prepared.device) if self.setting.graphed else None,
        )


def _next_segment(segment: Segment, start: EpochStart | None, epoch: int, optimizer: Optimizer) -> Segment:
    """The run of the learning rate that `epoch` belongs to."""
    if start is None or not start.lr_restart:
        return segment
    base = float(optimizer.param_groups[0]["base_lr"])
    first = start.initial_learning_rate
    return Segment(epoch, start.lr_length, 1.0 if first is None else first / base)

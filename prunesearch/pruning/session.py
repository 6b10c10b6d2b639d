"""`PruningSession`: applies a policy to one network, in anybody's training loop.

    session = PruningSession(model, policy, optimizer=optimizer, example_input=x)
    for epoch in range(policy.epochs):
        session.before_epoch(epoch, accuracy)
        for x, y in batches:
            ...                      # forward, backward, optimizer.step()
            session.after_step()
        with session.measuring():
            accuracy = evaluate(model)
    finished = session.finish(accuracy)  # `model` is the smaller network now

While it trains the network keeps its shape, with masks; only `finish` cuts. With `shrink=True` a final cut of units is made
at once, and training goes on as the smaller network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from prunesearch.catalogue import CRITERIA
from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.pruning import recovery
from prunesearch.pruning.enforcing import Enforcer
from prunesearch.pruning.finishing import Compared, Finished, cut_and_compare, infeasibility, layer_rows
from prunesearch.pruning.gradients import Losses
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.pruning.masks import apply_masks, build_masks, masked_count
from prunesearch.pruning.norms import narrowed_norms
from prunesearch.pruning.scoring import Selector, seed_of
from prunesearch.pruning.shrinking import can_hand_over, shrink
from prunesearch.pruning.structure import Group
from prunesearch.results import LayerRow
from prunesearch.schedules import Decision, Order, make_schedule

__all__ = ["Cut", "EpochStart", "Finished", "PruningSession"]


@dataclass(frozen=True)
class Cut:
    """What one order did.

    Args:
        layers: one row per group that the policy prunes: what is left.
        sparsity: fraction of the dense network's parameters that are masked now.
        notes: where it is not exactly what was asked, and why.
    """

    layers: tuple[LayerRow, ...]
    sparsity: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EpochStart:
    """What a training loop has to know before an epoch.

    Args:
        decision: the schedule's word.
        cut: what the order did; None without one.
        lr_restart: whether the learning rate starts anew.
        lr_length: epochs over which it then runs.
        initial_learning_rate: where it restarts; None: at the recipe's.
        optimizer_reset: whether the optimiser's moments were thrown away.
    """

    decision: Decision
    cut: Cut | None = None
    lr_restart: bool = False
    lr_length: int = 0
    initial_learning_rate: float | None = None
    optimizer_reset: bool = False


@dataclass(frozen=True)
class _Answer:
    """The network at the first epoch after which the sparsest level so far had come back."""

    level: float
    values: recovery.Snapshot
    gone: Mapping[str, torch.Tensor]
    notes: tuple[str, ...]


class PruningSession:
    """One policy on one network.

    Args:
        model: the network; masked while it trains, cut in place at the end.
        policy: what to do.
        optimizer: the one that trains `model`; None where nothing is trained.
        example_input: an example batch, for tracing and for the proof that masked equals cut.
        groups: of this class of networks, where they are known already.
        losses: gives the scalar losses of n training batches; for criteria that need gradients and for
            `recalibrate_batches`.
        seed: of everything that is drawn, together with the epoch.
        target: rewind_pruning on given weights: their validation accuracy.
        shrink: whether the network becomes smaller at the last planned cut of units rather than in `finish`: its
            parameters, and those of the optimiser, are then new tensors. Not done where dropout is in force, nor where
            the optimiser keeps what cannot be cut (Adafactor, L-BFGS).

    Raises:
        PolicyError: the policy does not fit the network, or needs `losses` and there are none.
    """

    def __init__(
        self,
        model: nn.Module,
        policy: Policy,
        *,
        optimizer: Optimizer | None,
        example_input: Any,
        groups: Groups | None = None,
        losses: Losses | None = None,
        seed: int = 0,
        target: float | None = None,
        shrink: bool = False,
    ) -> None:
        self.model, self.policy = model, policy
        self._optimizer = optimizer
        self._compared: Compared | None = None
        self.groups = groups or find_groups(model, example_input)
        self._shrinks = shrink and policy.is_unit and not self.groups.draws
        self._chosen = self.groups.chosen(policy)
        info = CRITERIA[policy.criterion]
        if losses is None and (info.gradient_batches or policy.recalibrate_batches):
            what = f"criterion '{info.name}'" if info.gradient_batches else "recalibrate_batches"
            raise PolicyError(f"{what}: needs training data, and there is none", "give the session `losses`")
        self._example, self._losses, self._seed = example_input, losses, seed
        self._schedule = make_schedule(policy, target=target)
        self._state = self._schedule.init()
        self._selector = Selector(policy, self._chosen, losses, recovery.snapshot(model) if info.initial else None, seed)
        self._enforcer = Enforcer(model, optimizer)
        self._total = sum(p.numel() for p in model.parameters())
        self._gone: Mapping[str, torch.Tensor] = {}
        self._sparsity, self._epoch, self._notes = 0.0, -1, tuple[str, ...]()
        self._rewind: recovery.Snapshot | None = None
        self._answer: _Answer | None = None

    @property
    def sparsity(self) -> float:
        """Fraction of the dense network's parameters that the masks in force cover.

        Of a free order (one_shot): what was zeroed last, at the start of the epoch or for measuring.
        """
        return self._sparsity

    @property
    def chosen(self) -> tuple[Group, ...]:
        """The groups that the policy prunes."""
        return self._chosen

    @property
    def gone(self) -> Mapping[str, torch.Tensor]:
        """Which elements of each group are gone now, (n,) bool, in the numbering of the dense network.

        Of a free order (one_shot): what was zeroed last; while it is measured, what is zeroed for that.
        """
        return self._gone

    def needs_network(self, epoch: int, accuracy: float | None = None) -> bool:
        """Whether `before_epoch` with the same arguments will look at the network or change it; nothing happens here."""
        decision, _ = self._schedule.before(epoch, self._state, accuracy)
        rewinds = self.policy.recovery == "rewind_weights" and epoch == self.policy.rewind_to
        return rewinds or decision.order is not None or decision.came_back is not None

    def before_epoch(self, epoch: int, accuracy: float | None = None) -> EpochStart:
        """Do what the policy says before an epoch.

        Args:
            epoch: 0 to N - 1, in order, none left out.
            accuracy: validation accuracy after the last epoch, or of given weights; rewind_pruning needs it.

        Raises:
            InfeasibleError: scores are not finite.
            PolicyError: the epochs are out of order, so that cuts would be left out or made twice.
        """
        if epoch != self._epoch + 1:
            made_for = f"the policy was made for {self.policy.epochs} epochs"
            raise PolicyError(
                f"epoch {self._epoch + 1} is next, got {epoch}; {made_for}", "policy.rescaled(epochs) fits another number"
            )
        self._epoch = epoch
        if self.policy.recovery == "rewind_weights" and epoch == self.policy.rewind_to:
            self._rewind = recovery.snapshot(self.model)
        decision, self._state = self._schedule.before(epoch, self._state, accuracy)
        if decision.came_back is not None:
            self._answer = _Answer(decision.came_back, recovery.snapshot(self.model), self._gone, self._notes)
        order = decision.order
        if order is None:
            return EpochStart(decision)
        cut = self._obey(order, epoch)
        anew = order.recovery != "keep"
        if anew:
            self._enforcer.forget_moments()
        if self._shrinks and order.last and order.enforced and epoch < self.policy.epochs:
            self._shrink()
        return EpochStart(decision, cut, order.lr_restart, order.lr_length, order.initial_learning_rate, anew)

    def mask_gradients(self) -> None:
        """Zero the gradients of what is masked; needed only by who looks at gradients, as clipping by norm does.

        The optimiser's step masks them in any case. Call it after `backward` (and the unscaling of mixed precision), before
        the clipping: the norm is then that of the network that is left.
        """
        self._enforcer.hold_gradients()

    def after_step(self) -> None:
        """Keep what is masked at zero; call it after every step of the optimiser."""
        self._enforcer.after_step()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """While the network is measured after an epoch: as the next epoch will start from it.

        Under `one_shot` the mask is selected afresh and applied meanwhile, for weights may have grown back; afterwards
        the network is as it was. Nothing happens under any other schedule, nor before the first order.
        """
        order = self._free_order(self._epoch + 1) if self._epoch >= self.policy.epoch_threshold else None
        if order is None:
            self._enforcer.hold_weights()
            yield
            return
        own = recovery.snapshot(self.model)
        self._obey(order, self._epoch + 1)
        try:
            with narrowed_norms(self.model, self._chosen, self._gone):
                yield
        finally:
            recovery.restore(self.model, own)

    def finish(self, accuracy: float | None = None) -> Finished:
        """Do what the policy says after the last epoch, put back the answer of rewind_pruning, and cut.

        Args:
            accuracy: validation accuracy after the last epoch; rewind_pruning needs it.

        Returns:
            What was kept, whether the network is usable, and the proof that the cut was right.

        Raises:
            PolicyError: not all epochs were started.
        """
        self.before_epoch(self.policy.epochs, accuracy)
        self._enforcer.hold_weights()
        recovered = self._put_back_answer()
        self._enforcer.close()
        compared = self._compared or Compared()
        if self.policy.is_unit and self._compared is None:
            compared = cut_and_compare(self.model, self._chosen, self._gone, self._example)
        return Finished(
            layers=layer_rows(self.groups.of(self.policy.granularity), self._gone),
            notes=self._notes + self._told(recovered),
            infeasible=infeasibility(self.model, self._gone, compared, self._example),
            masked_difference=compared.difference,
            recovered=recovered,
            sparsity=self._sparsity,
            gone=dict(self._gone),
        )

    def _obey(self, order: Order, epoch: int) -> Cut:
        """Select, mask, recover."""
        selection = self._selector.select(self.model, order, self._gone if order.enforced else {}, epoch)
        self._gone, self._notes = selection.gone, selection.notes
        self._recover(order, epoch)
        if order.enforced:
            masks = self._enforcer.hold(self._chosen, self._gone)
        else:
            masks = build_masks(dict(self.model.named_parameters()), self._chosen, self._gone)
            apply_masks(self.model, masks)
        if self.policy.recalibrate_batches and self._losses is not None:
            recovery.recalibrate(self.model, self._losses, self.policy.recalibrate_batches, seed_of(self._seed, epoch))
        self._sparsity = masked_count(masks) / self._total
        return Cut(layer_rows(self._chosen, self._gone), self._sparsity, selection.notes)

    def _shrink(self) -> None:
        """From here on the network is the smaller one; it stays masked where the optimiser's state cannot follow."""
        if can_hand_over(self.model, self._optimizer):
            self._enforcer.close()
            self._compared = shrink(self.model, self._optimizer, self._chosen, self._gone, self._example)

    def _recover(self, order: Order, epoch: int) -> None:
        if order.recovery == "rewind_weights":
            if self._rewind is None:
                raise PolicyError(f"rewind_to: epoch {order.rewind_to} was never started", "call before_epoch for every epoch")
            recovery.restore(self.model, self._rewind)
        elif order.recovery == "reinit":
            kept = recovery.reinitialise(self.model, self._chosen, self._gone, seed_of(self._seed, epoch))
            if kept:
                self._notes += (f"not drawn anew, for want of reset_parameters: {', '.join(kept)}",)

    def _free_order(self, epoch: int) -> Order | None:
        if self.policy.function != "one_shot":
            return None
        decision, _ = self._schedule.before(epoch, self._state, None)
        return decision.order if decision.order is not None and not decision.order.enforced else None

    def _put_back_answer(self) -> bool | None:
        if self.policy.schedule_type != "rewind_pruning":
            return None
        if self._answer is None:
            return False
        recovery.restore(self.model, self._answer.values)
        self._gone, self._notes = self._answer.gone, self._answer.notes
        masks = build_masks(dict(self.model.named_parameters()), self._chosen, self._gone)
        self._sparsity = masked_count(masks) / self._total
        return True

    def _told(self, recovered: bool | None) -> tuple[str, ...]:
        if recovered is None:
            return ()
        if self._answer is None:
            return ("no level came back; this is the last network",)
        return (f"level {self._answer.level:g} came back; it is the answer",)

"""rewind_pruning: the next level is cut each time the accuracy has come back (after Renda et al. 2020; prunpy).

The learning rate is rewound at every cut, the weights are kept. How far it gets is an outcome: the answer is the
sparsest level that came back, and the session keeps its weights when the decision says `came_back`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.schedules.base import Decision, Order

_ROUNDING = 1e-9
"""0.8 - 0.1 is 0.7000000000000001: without it an accuracy of exactly 0.7 would not have come back."""


@dataclass(frozen=True)
class RewindState:
    """What evolves.

    Args:
        target: the accuracy to come back to, None while no accuracy was seen.
        step: k of the level in force, -1 while the network is dense.
        recovering: whether the level in force has not come back yet.
    """

    target: float | None = None
    step: int = -1
    recovering: bool = False


@dataclass(frozen=True)
class RewindPruning:
    """Levels T, T + step, T + 2 step, ... up to the cap, each cut when the one before it has come back.

    Args:
        first: E, the epoch before which the first level is cut.
        epochs: N.
        threshold: T, the first level.
        threshold_step: from one level to the next.
        threshold_max: the cap.
        eps: how far below the target still counts as come back.
        initial_learning_rate: the rate at which every cut restarts.
        recovery_epochs: epochs over which the learning rate then runs.
        target: the accuracy of given weights; None: the best one over the epochs before E.
    """

    first: int
    epochs: int
    threshold: float
    threshold_step: float
    threshold_max: float
    eps: float
    initial_learning_rate: float
    recovery_epochs: int
    target: float | None = None

    def init(self) -> RewindState:
        """A dense network that has nothing to recover from."""
        return RewindState(self.target)

    def level(self, step: int) -> float:
        """The fraction removed at level k = `step`; 0 while dense."""
        return min(self.threshold_max, self.threshold + step * self.threshold_step) if step >= 0 else 0.0

    def before(self, epoch: int, state: RewindState, accuracy: float | None) -> tuple[Decision, RewindState]:
        """The next cut where the level in force has come back; nothing is cut before the end (epoch N) unless N is 0.

        Raises:
            PolicyError: there is no accuracy to come back to at E, or none to compare with it after E.
        """
        if epoch <= self.first:
            state = self._watched(state, accuracy)
            return (Decision(), state) if epoch < self.first else self._first_cut(state)
        if not state.recovering:
            return Decision(), state
        if not self._came_back(epoch, state, accuracy):
            return Decision(), state
        return self._next_cut(epoch, state)

    def _watched(self, state: RewindState, accuracy: float | None) -> RewindState:
        if self.target is not None or accuracy is None or math.isnan(accuracy):
            return state
        return replace(state, target=accuracy if state.target is None else max(accuracy, state.target))

    def _first_cut(self, state: RewindState) -> tuple[Decision, RewindState]:
        if state.target is None:
            raise PolicyError(
                f"rewind_pruning has no accuracy to come back to: none was measured before epoch_threshold = {self.first}",
                "from scratch let epoch_threshold be at least 1, or give trained weights",
            )
        return Decision(self._order(0)), replace(state, step=0, recovering=True)

    def _came_back(self, epoch: int, state: RewindState, accuracy: float | None) -> bool:
        if accuracy is None or state.target is None:
            raise PolicyError(
                f"rewind_pruning needs the validation accuracy after every epoch, got none before epoch {epoch}",
                "call before_epoch(epoch, accuracy)",
            )
        return accuracy >= state.target - self.eps - _ROUNDING

    def _next_cut(self, epoch: int, state: RewindState) -> tuple[Decision, RewindState]:
        level = self.level(state.step)
        if epoch >= self.epochs or self.level(state.step + 1) - level < _ROUNDING:
            return Decision(came_back=level), replace(state, recovering=False)
        return Decision(self._order(state.step + 1), level), replace(state, step=state.step + 1)

    def _order(self, step: int) -> Order:
        """Never `last`: until the end a sparser or a denser level may turn out to be the answer."""
        return Order(
            amount=self.level(step),
            absolute=False,
            enforced=True,
            lr_restart=True,
            lr_length=self.recovery_epochs,
            initial_learning_rate=self.initial_learning_rate,
        )


def schedule(policy: Policy, target: float | None = None) -> RewindPruning:
    """The schedule of a rewind_pruning policy; `target` is the accuracy of given weights."""
    p = {name: value for name, value in policy.present().items() if name in {f.name for f in fields(RewindPruning)}}
    return RewindPruning(first=policy.epoch_threshold, target=target, **p)

"""What a schedule is: frozen parameters, explicit state, orders out. No tensor in sight.

A schedule is asked once before every epoch, and once more with `epoch == N`, which stands for "after the last one".
`init()` gives the state it starts from; `before(epoch, state, accuracy)` returns the decision and the next state, and
never changes anything. Three examples of compositions:

* Zhu & Gupta: gradual, cubic ramp, weights, global scope, l1, recovery keep.
* lottery ticket: iterative, weights, layer scope, l1, recovery rewind_weights to 0, lr_restart.
* "one-shot reinitialise": one_shot_static, neurons, l1, recovery reinit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Order:
    """What is to be done before one epoch.

    Args:
        amount: the cumulative fraction that shall be gone, of what the scope ranks; or one per group glob (scope
            ratios, `default` for the rest); or, where `absolute`, the bound that scores must exceed to stay.
        absolute: whether `amount` is a bound on scores rather than a fraction.
        enforced: True: the masks hold at every step from here on, and later masks contain them. False: weights are
            zeroed once and may grow back until the next order.
        recovery: what happens to what is left, after the cut.
        rewind_to: epoch whose starting weights are restored, under rewind_weights.
        lr_restart: whether the learning rate starts anew here.
        lr_length: epochs over which it then runs: to the next planned cut that restarts it, or to N.
        initial_learning_rate: the rate at which it restarts, None = the recipe's.
        last: whether no further cut is planned, so that the structure is final from here on.
    """

    amount: float | Mapping[str, float]
    absolute: bool
    enforced: bool
    recovery: Literal["keep", "reinit", "rewind_weights"] = "keep"
    rewind_to: int = 0
    lr_restart: bool = False
    lr_length: int = 0
    initial_learning_rate: float | None = None
    last: bool = False


@dataclass(frozen=True)
class Decision:
    """A schedule's word before one epoch.

    Args:
        order: what to do, or None.
        came_back: the level that the network, as it stands before the order, has recovered from: its weights are the
            answer so far (rewind_pruning). None otherwise.
    """

    order: Order | None = None
    came_back: float | None = None


class Schedule(Protocol[State]):
    """When and how much."""

    def init(self) -> State:
        """The state before epoch 0."""
        ...

    def before(self, epoch: int, state: State, accuracy: float | None) -> tuple[Decision, State]:
        """The decision before `epoch`.

        Args:
            epoch: 0 to N; N stands for after the last epoch.
            state: what the last call returned, or `init()`.
            accuracy: validation accuracy measured after epoch - 1, or of the given weights before epoch 0, or None.
        """
        ...

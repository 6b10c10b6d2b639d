"""A schedule that knows all its cuts beforehand: everything but rewind_pruning."""

from __future__ import annotations

from dataclasses import dataclass

from prunesearch.schedules.base import Decision, Order


@dataclass(frozen=True)
class Planned:
    """Orders at fixed epochs; nothing evolves, so that the state is None.

    Args:
        orders: pairs of epoch and order, by rising epoch, each epoch at most once.
    """

    orders: tuple[tuple[int, Order], ...]

    def init(self) -> None:
        """There is no state."""

    def before(self, epoch: int, state: None, accuracy: float | None) -> tuple[Decision, None]:  # noqa: ARG002 - the contract of all schedules
        """The order planned for `epoch`, whatever the accuracy."""
        return Decision(next((order for at, order in self.orders if at == epoch), None)), None

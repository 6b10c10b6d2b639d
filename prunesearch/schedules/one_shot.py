"""one_shot: from epoch E on a new mask before every epoch, free to grow back inside it."""

from __future__ import annotations

from prunesearch.policy import Policy
from prunesearch.schedules.amounts import goal
from prunesearch.schedules.base import Order


def orders(policy: Policy) -> tuple[tuple[int, Order], ...]:
    """A free order before every epoch from E to N, N (after the last one) included.

    The order at N is what makes the network that is handed over as sparse as the one that every epoch started from.
    """
    absolute = policy.schedule_type == "magnitude_threshold"
    return tuple(
        (epoch, Order(goal(policy), absolute, enforced=False, last=epoch == policy.epochs))
        for epoch in range(policy.epoch_threshold, policy.epochs + 1)
    )

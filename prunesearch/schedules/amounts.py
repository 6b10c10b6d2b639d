"""How much: one number, or one per group, moved along a curve.

A schedule never asks which of the two it has: it says how the curve treats a single final value, and `along` does it
for all. So that a group under scope `ratios` follows the same curve as everything under a single threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prunesearch.policy import Policy
from prunesearch.schedules.base import Order

Amount = float | Mapping[str, float]
"""A fraction or bound in [0, 1) or [0, inf), or one fraction per group name or glob."""


def goal(policy: Policy) -> Amount:
    """What shall be gone in the end: a fraction, one fraction per group, or the bound of magnitude_threshold."""
    for amount in (policy.weight_threshold, policy.ratio, policy.threshold):
        if amount is not None:
            return amount
    raise ValueError("a valid policy has a threshold, a ratio or a weight_threshold")


def along(amount: Amount, curve: Callable[[float], float]) -> Amount:
    """`amount` with `curve` applied to every final value in it."""
    if isinstance(amount, Mapping):
        return {group: curve(value) for group, value in amount.items()}
    return curve(amount)


def static_order(policy: Policy, amount: Amount, *, lr_length: int, last: bool, recover: bool = True) -> Order:
    """An enforced cut to `amount`.

    Args:
        policy: says what follows a cut.
        amount: the cumulative amount.
        lr_length: epochs to the next planned restart or to the end; used where the learning rate restarts here.
        last: whether no cut follows.
        recover: False: nothing but the mask happens at this cut, whatever the policy says of recovery.
    """
    restart = recover and policy.lr_restart
    return Order(
        amount=amount,
        absolute=policy.schedule_type == "magnitude_threshold",
        enforced=True,
        recovery=policy.recovery if recover else "keep",
        rewind_to=(policy.rewind_to or 0) if recover else 0,
        lr_restart=restart,
        lr_length=lr_length if restart else 0,
        last=last,
    )

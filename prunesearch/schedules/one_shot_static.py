"""one_shot_static: one mask at epoch E, enforced at every step from then on."""

from __future__ import annotations

from prunesearch.policy import Policy
from prunesearch.schedules.amounts import goal, static_order
from prunesearch.schedules.base import Order


def orders(policy: Policy) -> tuple[tuple[int, Order], ...]:
    """One enforced order before epoch E, with the policy's recovery."""
    left = policy.epochs - policy.epoch_threshold
    return ((policy.epoch_threshold, static_order(policy, goal(policy), lr_length=left, last=True)),)

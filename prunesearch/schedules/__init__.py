"""When and how much: one file per schedule, no tensor in sight.

`make_schedule(policy)` is what a session asks before every epoch; `plan(policy)` lists what it will say where that is
known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from prunesearch.errors import PolicyError
from prunesearch.policy import Policy
from prunesearch.schedules import gradual, iterative, one_shot, one_shot_static, rewind
from prunesearch.schedules.base import Decision, Order, Schedule
from prunesearch.schedules.planned import Planned

__all__ = ["PLANNED", "Decision", "Order", "Schedule", "make_schedule", "plan"]

PLANNED: Mapping[str, Callable[[Policy], tuple[tuple[int, Order], ...]]] = MappingProxyType(
    {
        "one_shot": one_shot.orders,
        "one_shot_static": one_shot_static.orders,
        "gradual": gradual.orders,
        "iterative": iterative.orders,
    }
)
"""By `function`: the orders of a policy, as pairs of epoch and order."""


def make_schedule(policy: Policy, *, target: float | None = None) -> Schedule[Any]:
    """The schedule of a policy, in its canonical form: equal digests give equal orders.

    Args:
        policy: any valid policy.
        target: validation accuracy of given weights, to which rewind_pruning has to come back; None: from scratch.
    """
    if policy.schedule_type == "rewind_pruning":
        return rewind.schedule(policy, target)
    return Planned(tuple(plan(policy)))


def plan(policy: Policy) -> list[tuple[int, Order]]:
    """All orders of a policy, by rising epoch; epoch N stands for after the last one.

    Raises:
        PolicyError: rewind_pruning, whose cuts follow the accuracy.
    """
    canonical = policy.canonical()
    if canonical.function is None:
        raise PolicyError(
            "rewind_pruning plans no cuts: they follow the accuracy", "make_schedule(policy).before(...) decides them"
        )
    return list(PLANNED[canonical.function](canonical))

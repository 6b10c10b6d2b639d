"""Worked examples: the level by epoch of policies that show every schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunesearch.policy import Policy
from prunesearch.schedules import make_schedule, plan
from prunesearch.schedules.amounts import Amount
from prunesearch.schedules.markdown import number, table

_SYMBOLS = {"epoch_threshold": "E", "converge_over": "C", "prune_iter": "R", "threshold": "T"}
_SHOWN = (
    "function",
    "ramp",
    "last_cut",
    "epoch_threshold",
    "converge_over",
    "prune_iter",
    "threshold",
    "weight_threshold",
    "ratio",
)

TEN: tuple[dict[str, Any], ...] = (
    {"function": "one_shot", "epoch_threshold": 2, "threshold": 0.8},
    {"function": "one_shot_static", "epoch_threshold": 2, "threshold": 0.8},
    {"function": "gradual", "ramp": "linear", "epoch_threshold": 2, "converge_over": 4, "threshold": 0.8},
    {"function": "gradual", "ramp": "cubic", "epoch_threshold": 2, "converge_over": 4, "threshold": 0.8},
    {"function": "iterative", "epoch_threshold": 2, "prune_iter": 3, "threshold": 0.8},
    {"function": "iterative", "last_cut": "at_end", "epoch_threshold": 2, "prune_iter": 3, "threshold": 0.8},
    {"function": "iterative", "epoch_threshold": 2, "prune_iter": 2, "scope": "ratios", "ratio": {"default": 0.5, "fc1": 0.9}},
    {
        "schedule_type": "magnitude_threshold",
        "function": "gradual",
        "ramp": "linear",
        "epoch_threshold": 2,
        "converge_over": 4,
        "weight_threshold": 0.1,
    },
)
"""Policies of ten epochs."""
FEW: tuple[dict[str, Any], ...] = (
    {"epochs": 3, "function": "gradual", "ramp": "linear", "epoch_threshold": 0, "converge_over": 3, "threshold": 0.6},
    {"epochs": 3, "function": "iterative", "epoch_threshold": 0, "prune_iter": 3, "threshold": 0.875},
    {"epochs": 3, "function": "iterative", "last_cut": "at_end", "epoch_threshold": 0, "prune_iter": 4, "threshold": 0.9375},
    {"epochs": 3, "function": "one_shot", "epoch_threshold": 0, "threshold": 0.8},
    {"epochs": 3, "function": "one_shot_static", "epoch_threshold": 3, "threshold": 0.8},
    {"epochs": 0, "function": "one_shot_static", "epoch_threshold": 0, "threshold": 0.8},
)
"""Policies at the edges: few epochs, none, as many rounds as there can be, pruned after the last epoch."""
REWIND: dict[str, Any] = {
    "epochs": 10,
    "schedule_type": "rewind_pruning",
    "epoch_threshold": 3,
    "threshold": 0.5,
    "threshold_step": 0.2,
    "threshold_max": 0.95,
    "eps": 0.01,
    "recovery_epochs": 2,
}
ACCURACIES = (0.9, 0.93, 0.95, 0.93, 0.945, 0.94, 0.92, 0.93, 0.945, 0.9)
"""A made-up course of validation accuracy after epochs 0 to 9, for the example of rewind_pruning."""


def ten_epochs() -> str:
    """The level in force by epoch, of the policies of ten epochs."""
    return _levels([Policy(epochs=10, **fields) for fields in TEN], columns=10)


def few_epochs() -> str:
    """The same at the edges."""
    return _levels([Policy(**fields) for fields in FEW], columns=3, named=("N",))


def _levels(policies: Sequence[Policy], columns: int, named: tuple[str, ...] = ()) -> str:
    head = ["policy", *named, *(str(epoch) for epoch in range(columns + 1))]
    rows = [[_told(p), *([str(p.epochs)] if named else []), *_by_epoch(p), *[""] * (columns - p.epochs)] for p in policies]
    return table(head, rows)


def _by_epoch(policy: Policy) -> list[str]:
    """The amount in force at epochs 0 to N: bold where it is ordered, plain while it holds, a dash before."""
    orders, shown, cells = dict(plan(policy)), "-", []
    for epoch in range(policy.epochs + 1):
        if epoch in orders:
            shown = _amount(orders[epoch].amount)
        cells.append(f"**{shown}**" if epoch in orders else shown)
    return cells


def _amount(amount: Amount) -> str:
    if isinstance(amount, Mapping):
        return ", ".join(number(value) for value in amount.values())
    return number(amount)


def _told(policy: Policy) -> str:
    """The fields that shape the schedule, by their symbols."""
    given = {name: value for name in _SHOWN if (value := policy.present().get(name)) is not None}
    words = [str(given.pop(name)) for name in ("function", "ramp", "last_cut") if name in given and given[name] != "trained"]
    ratio = [f"{group} {number(value)}" for group, value in given.pop("ratio", {}).items()]
    numbers = [f"{_SYMBOLS.get(name, name)} = {number(value)}" for name, value in given.items() if not isinstance(value, str)]
    return ", ".join(words + numbers + ratio)


def rewinding() -> str:
    """rewind_pruning told epoch by epoch, on a made-up course of accuracies."""
    policy = Policy(**REWIND)
    schedule = make_schedule(policy)
    state, level, rows = schedule.init(), 0.0, []
    for epoch, before in enumerate((None, *ACCURACIES)):
        decision, state = schedule.before(epoch, state, before)
        back = "" if decision.came_back is None else number(decision.came_back)
        order = decision.order
        level = order.amount if order and isinstance(order.amount, float) else level
        cut = f"**{number(level)}**, over {order.lr_length} epochs" if order else ""
        after = [number(level), number(ACCURACIES[epoch])] if epoch < policy.epochs else ["", ""]
        rows.append([str(epoch), back, cut, *after])
    return table(
        ["before epoch", "came back", "cut to, learning rate restarted", "level in this epoch", "accuracy after it"], rows
    )

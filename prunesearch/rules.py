"""What goes with what: which words, which fields and which integers a branch of policies allows.

`choices`, `used` and `bounds` are read both by the policy's validation and by the search space, so that whatever
is refused is never sampled. `chosen` maps the names of the fields decided so far to their values. What a level means in
elements is here too: real cuts and simulated ones count alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from prunesearch.catalogue import CRITERIA
from prunesearch.hyperparameters import FUNCTIONS, GRANULARITIES, RECOVERIES, SCHEDULE_TYPES, SCOPES

Chosen = Mapping[str, Any]

ALWAYS = frozenset(
    {
        "epochs",
        "schedule_type",
        "granularity",
        "criterion",
        "recovery",
        "lr_restart",
        "epoch_threshold",
        "min_units",
        "round_to",
        "prune_bias",
        "prune_output_layer",
        "spare",
        "only",
        "recalibrate_batches",
    }
)
"""Fields that every policy has."""

_BY_TYPE = {
    "magnitude_percentage": frozenset({"function", "scope"}),
    "magnitude_threshold": frozenset({"function", "weight_threshold"}),
    "rewind_pruning": frozenset(
        {"scope", "threshold", "threshold_step", "threshold_max", "eps", "initial_learning_rate", "recovery_epochs"}
    ),
}
_BY_FUNCTION = {
    "gradual": frozenset({"ramp", "converge_over"}),
    "iterative": frozenset({"prune_iter", "last_cut"}),
}


def used(chosen: Chosen) -> frozenset[str]:
    """The fields that the branch has; all others are absent from policy, digest and Optuna trial."""
    fields = ALWAYS | _BY_TYPE.get(chosen.get("schedule_type", ""), frozenset())
    fields |= _BY_FUNCTION.get(chosen.get("function") or "", frozenset())
    if chosen.get("schedule_type") == "magnitude_percentage":
        fields |= {"ratio"} if chosen.get("scope") == "ratios" else {"threshold"}
    if chosen.get("recovery") == "rewind_weights":
        fields |= {"rewind_to"}
    return fields


def choices(name: str, chosen: Chosen) -> tuple[Any, ...]:
    """The words that field `name` may take in the branch, empty where the branch has no such field."""
    match name:
        case "schedule_type":
            return SCHEDULE_TYPES
        case "function":
            return _functions(chosen["schedule_type"])
        case "granularity":
            return GRANULARITIES
        case "criterion":
            return _criteria(chosen)
        case "scope":
            return _scopes(chosen["schedule_type"])
        case "recovery":
            return RECOVERIES if _recovers(chosen) else ("keep",)
        case "lr_restart":
            return _restarts(chosen)
    raise KeyError(name)


def branch(name: str, chosen: Chosen) -> str | None:
    """The suffix of field `name` in Optuna, where its words depend on the branch: `<field>.<branch>`."""
    match name:
        case "function" | "scope":
            return str(chosen["schedule_type"])
        case "criterion":
            kind = "weight" if chosen["granularity"] == "weight" else "units"
            return f"{kind}.bound" if chosen["schedule_type"] == "magnitude_threshold" else kind
    return None


def bounds(name: str, chosen: Chosen) -> tuple[int, int]:
    """Smallest and largest valid value of an integer field, both included."""
    epochs, first = int(chosen["epochs"]), int(chosen.get("epoch_threshold", 0))
    left = epochs - first
    match name:
        case "epoch_threshold":
            rewinds = chosen["schedule_type"] == "rewind_pruning"
            return 0, max(0, epochs - 1) if rewinds else epochs
        case "converge_over":
            return 0, left
        case "prune_iter":
            return 1, max(1, left + 1 if chosen.get("last_cut") == "at_end" else left)
        case "rewind_to":
            return 0, first
        case "recovery_epochs":
            return 1, max(1, left)
    raise KeyError(name)


def last_cut_epoch(chosen: Chosen) -> int:
    """The epoch before which the last planned cut is made (`epochs` = after the last one)."""
    epochs, first = int(chosen["epochs"]), int(chosen["epoch_threshold"])
    match chosen.get("function"):
        case "gradual":
            return first + int(chosen["converge_over"])
        case "iterative":
            return iterative_cuts(first, epochs, int(chosen["prune_iter"]), chosen.get("last_cut") == "at_end")[-1]
    return first


def iterative_cuts(first: int, epochs: int, rounds: int, at_end: bool) -> tuple[int, ...]:
    """The epochs before which the rounds of an iterative schedule cut.

    Round r is at E + floor(r (N - E) / R); `at_end` spreads them evenly from E to N.
    """
    left = epochs - first
    if not at_end:
        return tuple(first + r * left // rounds for r in range(rounds))
    if rounds == 1:
        return (epochs,)
    return tuple(first + r * left // (rounds - 1) for r in range(rounds))


def equal_criterion(criterion: str, granularity: str, scopes: Iterable[str | None]) -> str:
    """The criterion that `criterion` always equals: for weights l1 = l2 = linf, and LAMP = l1 unless layers are ranked together.

    Args:
        criterion: its name.
        granularity: what it scores.
        scopes: the scopes that are possible; None where the schedule type has none.
    """
    if granularity == "weight" and (criterion in ("l2", "linf") or (criterion == "lamp" and not {"global", None} & {*scopes})):
        return "l1"
    return criterion


def scratch_start(epochs: int) -> int:
    """The earliest `epoch_threshold` at which rewind_pruning has a target worth reaching, from scratch."""
    return max(2, math.ceil(epochs / 4))


REST = "default"
"""The key of `ratio` that stands for all groups that no other key means."""


def matching(name: str, keys: Iterable[str]) -> str | None:
    """The key of `ratio` that speaks for group `name`: its exact name, or else the longest glob that matches it."""
    meant = [key for key in keys if key == name or (key != REST and fnmatchcase(name, key))]
    return name if name in meant else max(meant, key=len, default=None)


def ratio_of(name: str, ratio: Mapping[str, float]) -> float:
    """The fraction of group `name`: that of the key that speaks for it, else that of `default`, else nothing."""
    key = matching(name, ratio)
    return ratio.get(REST, 0.0) if key is None else ratio[key]


def count_of(size: int, level: float) -> int:
    """Elements of `size` that go at a level: floor(size x level + 1e-9); 10 x 0.7 is 6.999..., and seven go."""
    return math.floor(size * level + 1e-9)


def rounded_width(left: int, size: int, round_to: int) -> int:
    """Units that stay where `left` of `size` would: the next multiple of `round_to`, at most all."""
    return min(size, -(-left // round_to) * round_to)


def _functions(schedule_type: str) -> tuple[str, ...]:
    match schedule_type:
        case "rewind_pruning":
            return ()
        case "magnitude_threshold":
            return tuple(f for f in FUNCTIONS if f != "iterative")
    return FUNCTIONS


def _scopes(schedule_type: str) -> tuple[str, ...]:
    match schedule_type:
        case "magnitude_threshold":
            return ()
        case "rewind_pruning":
            return ("layer", "global")
    return SCOPES


def _criteria(chosen: Chosen) -> tuple[str, ...]:
    weights, bound = chosen["granularity"] == "weight", chosen["schedule_type"] == "magnitude_threshold"
    fitting = (c for c in CRITERIA.values() if (c.weights if weights else c.units) and (c.magnitude or not bound))
    return tuple(c.name for c in fitting)


def _recovers(chosen: Chosen) -> bool:
    return chosen["schedule_type"] != "rewind_pruning" and chosen.get("function") != "one_shot"


def _restarts(chosen: Chosen) -> tuple[bool, ...]:
    if chosen["schedule_type"] == "rewind_pruning" or chosen.get("recovery") == "reinit":
        return (True,)
    return (False,) if chosen.get("function") == "one_shot" else (False, True)

"""Policies and figures in words, for tables, notes and cards."""

from __future__ import annotations

import math
from collections.abc import Iterable

from prunesearch.policy import Policy
from prunesearch.rules import REST

_WHAT = {"weight": "weights", "neuron": "neurons", "filter": "filters", "unit": "neurons and filters"}
_AFTER = {"keep": "", "reinit": "then re-initialised", "rewind_weights": "rewound to epoch {}"}


def policy_words(policy: Policy) -> str:
    """One line that says what a policy does: `90 % of weights, global l1, gradual (cubic) over epochs 1-6`."""
    return f"{_amount(policy)}, {way_words(policy)}"


def way_words(policy: Policy) -> str:
    """What a policy does, without how much: `global l1, gradual (cubic) over epochs 1-6`."""
    parts = [_ranking(policy), _when(policy), _AFTER[policy.recovery].format(policy.rewind_to)]
    if policy.lr_restart and policy.recovery != "reinit" and policy.schedule_type != "rewind_pruning":
        parts.append("learning rate restarted")
    return ", ".join(p for p in parts if p)


def percent(fraction: float) -> str:
    """`0.905` as `90.5 %`, and what is not quite all with as many digits as that takes: `0.9997` as `99.97 %`."""
    digits = -math.floor(math.log10(1 - fraction)) if 0.9995 <= fraction < 1 else 3
    return f"{100 * fraction:.{digits}g} %"


def number(value: float | None, places: int = 4) -> str:
    """A figure for a table: whole numbers with thousands separators, fractions with `places` digits, or below 0.01 three
    significant ones, `-` for none.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.{places}f}"


def times(ratio: float | None) -> str:
    """`1.913` as `1.9x`; `-` for none."""
    if ratio is None or not math.isfinite(ratio):
        return "-"
    return f"{ratio:.0f}x" if ratio >= 99.5 else f"{ratio:.1f}x" if ratio >= 9.95 else f"{ratio:.2f}x"


def duration(seconds: float | None) -> str:
    """`4000` as `1 h 7 min`, `95` as `1 min 35 s`, `3.2` as `3.2 s`; `-` for none."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _amount(policy: Policy) -> str:
    what = _WHAT[policy.granularity]
    if policy.schedule_type == "magnitude_threshold":
        return f"{what} with a score up to {policy.weight_threshold:.3g}"
    if policy.schedule_type == "rewind_pruning":
        assert policy.threshold is not None and policy.threshold_step is not None
        return f"{what} from {percent(policy.threshold)} in steps of {percent(policy.threshold_step)}"
    if policy.ratio:
        low, high = min(policy.ratio.values()), max(policy.ratio.values())
        where = "" if REST in policy.ratio else f" in {_names(policy.ratio)}"
        if low == high:
            return f"{percent(low)} of {what}{where}"
        return f"{percent(low)} to {percent(high)} of {what}{where or ' per group'}"
    return f"{percent(policy.threshold or 0.0)} of {what}"


def _names(names: Iterable[str]) -> str:
    """`fc1`, `fc1 and fc2`, `fc1, fc2 and fc3`, `fc1, fc2 and 2 more`."""
    told = list(names)
    if len(told) > 3:
        told[2:] = [f"{len(told) - 2} more"]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def _ranking(policy: Policy) -> str:
    scope = {"layer": "per layer", "global": "global", "ratios": ""}.get(policy.scope or "", "")
    return f"{scope} {policy.criterion}".strip()


def _when(policy: Policy) -> str:
    first = policy.epoch_threshold
    match policy.function:
        case "gradual":
            return f"gradual ({policy.ramp}) over epochs {first}-{first + (policy.converge_over or 0)}"
        case "iterative":
            return f"in {policy.prune_iter} round{'s' if policy.prune_iter != 1 else ''} from epoch {first}"
        case "one_shot":
            return f"one shot, free, from epoch {first}"
        case "one_shot_static":
            return "one shot after the last epoch" if first == policy.epochs else f"one shot at epoch {first}"
    return f"as long as it recovers within {policy.eps:.3g}, from epoch {first}"

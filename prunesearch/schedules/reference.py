"""The tables of docs/policies.md that restate what the code knows: fields, branches, integer bounds, criteria."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prunesearch import rules
from prunesearch.catalogue import CRITERIA, CriterionInfo
from prunesearch.hyperparameters import FUNCTIONS, HYPERPARAMETERS, SCHEDULE_TYPES, Hyperparameter
from prunesearch.schedules.markdown import number, table

_NONE = "-"


def hyperparameters() -> str:
    """Every field: kind, meaning, valid values, default, default search range, and the policies that have it."""
    rows = [
        [f"`{h.name}`", h.kind, h.help, _valid(h), _shown(h.default) + _IN_BRANCHES.get(h.name, ""), _searched(h), _users(h.name)]
        for h in HYPERPARAMETERS.values()
    ]
    return table(["field", "kind", "meaning", "valid", "default", "searched by default", "used by"], rows)


def _shown(value: object) -> str:
    match value:
        case None:
            return _NONE
        case bool():
            return str(value).lower()
        case int() | float():
            return number(value)
        case tuple():
            return ", ".join(_shown(part) for part in value) or "none"
    return str(value)


def _valid(h: Hyperparameter) -> str:
    if h.choices:
        return ", ".join(h.choices) if h.name != "criterion" else "see criteria"
    low, high = h.valid
    if h.below is not None:
        return f"{_shown(low)} <= x < {_shown(h.below)}"
    if high is not None:
        return f"{_shown(low)} to {_shown(high)}"
    return f"at least {_shown(low)}" if low is not None else {"bool": "true, false", "globs": "names, globs"}.get(h.kind, _NONE)


_MADE = {"epoch_threshold": "0 to N - 1", "converge_over": "2 to N - E - 1", "rewind_to": "0 to E"}
"""Ranges that `search/ranges.py` makes where a study says nothing."""

_IN_BRANCHES = {
    "epoch_threshold": "; rewind_pruning max(2, N / 4)",
    "lr_restart": "; true with reinit and rewind_pruning",
}
"""Defaults that a branch has for itself, as `policy.fill_defaults` gives them."""


def _searched(h: Hyperparameter) -> str:
    if h.search is None:
        return _MADE.get(h.name, _NONE)
    if h.choices or h.kind == "bool":
        return _shown(h.search)
    text = " to ".join(_shown(bound) for bound in h.search)
    units = f"; units {' to '.join(_shown(bound) for bound in h.search_units)}" if h.search_units else ""
    return text + units + (", log" if h.log else "")


def branches() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schedule with the choices that lead to it."""
    for kind in SCHEDULE_TYPES:
        for function in rules.choices("function", {"schedule_type": kind}) or (None,):
            yield f"{kind}, {function}" if function else kind, {"schedule_type": kind, "function": function}


def _users(name: str) -> str:
    """Where a field is used, in as few words as are exact."""
    if name in rules.ALWAYS:
        return "all"
    if name == "rewind_to":
        return "recovery rewind_weights"
    if name == "ratio":
        return "scope ratios"
    kinds = [_with_scope(name, kind) for kind in SCHEDULE_TYPES if name in rules.used({"schedule_type": kind})]
    return ", ".join(kinds + [f for f in FUNCTIONS if name in rules.used({"function": f})])


def _with_scope(name: str, kind: str) -> str:
    return kind if name in rules.used({"schedule_type": kind, "scope": "ratios"}) else f"{kind} unless scope ratios"


def together() -> str:
    """What goes with what, asked of the rules for every schedule."""
    rows = [[f"`{label}`", *(_allowed(name, branch) for name in ("recovery", "scope"))] for label, branch in branches()]
    return table(["schedule", "recovery: lr_restart", "scope"], rows)


def _allowed(name: str, branch: Mapping[str, Any]) -> str:
    words = rules.choices(name, branch)
    if name != "recovery":
        return ", ".join(words) or _NONE
    return "; ".join(f"{word}: {_restarts(branch, word)}" for word in words)


def _restarts(branch: Mapping[str, Any], recovery: str) -> str:
    return " or ".join(_shown(word) for word in rules.choices("lr_restart", {**branch, "recovery": recovery}))


def integers(epochs: int = 10, first: int = 2) -> str:
    """What the integers may be where N and E are given."""
    rows = []
    for name in ("epoch_threshold", "converge_over", "prune_iter", "rewind_to", "recovery_epochs"):
        for told, extra in _cases(name):
            low, high = rules.bounds(
                name, {"epochs": epochs, "epoch_threshold": first, "schedule_type": SCHEDULE_TYPES[0], **extra}
            )
            rows.append([f"`{name}`", told, str(low), str(high)])
    return table(["field", "where", "from", "to"], rows)


def _cases(name: str) -> list[tuple[str, dict[str, Any]]]:
    if name == "epoch_threshold":
        return [("all but rewind_pruning", {}), ("rewind_pruning", {"schedule_type": "rewind_pruning"})]
    if name == "prune_iter":
        return [("last_cut trained", {"last_cut": "trained"}), ("last_cut at_end", {"last_cut": "at_end"})]
    return [(_users(name), {})]


def criteria() -> str:
    """Every criterion known when this runs: formula, source, what it ranks, what it needs."""
    rows = [
        [f"`{c.name}`", f"`{c.formula}`", c.source, _ranks(c), "yes" if c.magnitude else "no", _needs(c)]
        for c in CRITERIA.values()
    ]
    return table(["criterion", "score, lowest goes first", "source", "granularity", "with magnitude_threshold", "needs"], rows)


def _ranks(info: CriterionInfo) -> str:
    kinds = ["weight"] if info.weights else []
    return ", ".join(kinds + (["neuron", "filter", "unit"] if info.units else []))


def _needs(info: CriterionInfo) -> str:
    needs = [f"gradients of {info.gradient_batches} training batches"] if info.gradient_batches else []
    needs += ["the initial values"] if info.initial else []
    needs += ["a norm layer behind every unit"] if info.norms else []
    return ", ".join(needs) or "nothing"

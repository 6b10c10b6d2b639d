"""The branches of a search space: every combination of words that can be completed to a valid policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prunesearch import rules
from prunesearch.search.ranges import Ranges, unique

WORDS = ("schedule_type", "function", "granularity", "criterion", "scope", "recovery", "lr_restart")
"""The fields that span the branches, in the order in which they are asked."""

Branch = Mapping[str, Any]

_NUMBERS = ("threshold", "weight_threshold", "epoch_threshold", "round_to")
_REASONS = 5


def unrolled(ranges: Ranges, granularities: Sequence[str]) -> tuple[tuple[Branch, ...], list[str]]:
    """All branches, and why others are none.

    Args:
        ranges: what each field may be.
        granularities: those that have groups to prune.
    """
    dead: list[str] = []
    branches = tuple(_completions(ranges, tuple(granularities), {"epochs": ranges.epochs}, 0, dead))
    return branches, list(unique(dead))[:_REASONS] or ["nothing in this network can be pruned"]


def _completions(
    ranges: Ranges, granularities: tuple[str, ...], chosen: dict[str, Any], at: int, dead: list[str]
) -> Iterator[Branch]:
    if at == len(WORDS):
        reason = _no_number(ranges, chosen)
        if reason is None:
            yield {name: chosen[name] for name in WORDS if name in chosen}
        else:
            dead.append(reason)
        return
    name = WORDS[at]
    if name not in rules.used(chosen):
        yield from _completions(ranges, granularities, chosen, at + 1, dead)
        return
    words = ranges.words(name, chosen)
    if name == "granularity":
        words = tuple(w for w in words if w in granularities)
    if not words:
        dead.append(_no_word(ranges, name, chosen))
    for word in words:
        yield from _completions(ranges, granularities, {**chosen, name: word}, at + 1, dead)


def _no_number(ranges: Ranges, chosen: dict[str, Any]) -> str | None:
    """Why a branch's numbers allow nothing, or None where they do."""
    used = rules.used(chosen)
    cuts = ranges.said("last_cut") if "last_cut" in used else ("trained",)
    for name in (n for n in _NUMBERS if n in used):
        if not all(ranges.options(name, {**chosen, "last_cut": cut}) for cut in cuts):
            low, high = ranges.bounds(name, {**chosen, "last_cut": cuts[0]})
            allowed = f"{low:g} to {high:g}" if low <= high else "nothing"
            branch, n = _told(name, chosen), ranges.epochs
            return f"{name}: {branch} leaves {allowed} with {n} epochs, the study says {ranges.words_of(name)}"
    return None


def _no_word(ranges: Ranges, name: str, chosen: Mapping[str, Any]) -> str:
    said = ", ".join(_word(w) for w in ranges.said(name))
    if name == "granularity":
        has = ", ".join(ranges.info.granularities) or "nothing that can be pruned"
        return f"granularity: the study says {said}; the model has {has} (after `spare` and `only`)"
    allowed = ", ".join(_word(w) for w in rules.choices(name, chosen)) or "none"
    return f"{name}: {_told(name, chosen)} takes {allowed}, the study says {said}"


def _told(name: str, chosen: Mapping[str, Any]) -> str:
    """The words of a branch that matter for a field, in a message."""
    decisive = ("granularity",) if name == "round_to" else ("schedule_type", "function")
    words = (*decisive, "granularity") if name == "criterion" else decisive
    return " ".join(str(chosen[n]) for n in words if n in chosen) or "a policy"


def _word(word: object) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word)

"""Levels of a curve: read from text, and put into a policy in place of its own amount."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from prunesearch.errors import UsageError
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.policy import Policy

LEVELS = "0,0.25,0.5,0.6,0.7,0.8,0.9,0.95,0.97,0.99"
"""What is tried where nothing is said: the levels of the Keras pruning system."""


def read_levels(given: str | Iterable[float]) -> tuple[float, ...]:
    """Levels as given: `0,.25,.5`, or numbers; ascending, each once.

    Raises:
        UsageError: none is given, or one is no fraction in [0, 1).
    """
    words = [w for w in given.split(",") if w.strip()] if isinstance(given, str) else list(given)
    numbers = [_number(word) for word in words]
    if not numbers:
        raise UsageError("levels: at least one is needed", "fractions, such as --levels 0,0.5,0.8,0.9")
    wrong = [n for n in numbers if not 0 <= n < 1]
    if wrong:
        raise UsageError(f"levels: {', '.join(f'{n:g}' for n in wrong)} is not at least 0 and below 1", _hint(numbers))
    return tuple(sorted({n + 0.0 for n in numbers}))


def _number(word: str | float) -> float:
    try:
        return float(word)
    except (TypeError, ValueError):
        percent = isinstance(word, str) and word.strip().endswith("%")
        hint = "levels are fractions: 50 % is 0.5" if percent else "fractions, such as --levels 0,0.5,0.8,0.9"
        raise UsageError(f"levels: '{str(word).strip()}' is not a number", hint) from None


def _hint(numbers: list[float]) -> str:
    """What was probably meant."""
    if any(n > 1 for n in numbers) and all(0 <= n < 100 for n in numbers):
        return f"levels are fractions, not percent: --levels {','.join(f'{n / 100 if n >= 1 else n:g}' for n in numbers)}"
    if 1.0 in numbers:
        return "1 would remove everything; 0.99 leaves a hundredth"
    return "fractions, such as --levels 0,0.5,0.8,0.9"


def at_level(policy: Policy, level: float) -> Policy:
    """`policy` with `level` in place of its amount.

    A threshold becomes the level; of a ratio, every group's that is not 0; under rewind_pruning the level is the cap, and the
    first level not above it. A bound (magnitude_threshold) has no level before anything is trained: there 0 to 1 goes
    through the range that is searched by default, logarithmically, and how much is gone is an outcome.

    Args:
        policy: the policy.
        level: in (0, 1).

    Raises:
        PolicyError: the level does not go with the rest of the policy.
    """
    fields: dict[str, Any] = policy.present()
    if policy.schedule_type == "magnitude_threshold":
        fields["weight_threshold"] = bound_at(level, units=policy.is_unit)
    elif policy.schedule_type == "rewind_pruning":
        fields |= {"threshold": min(level, policy.threshold or level), "threshold_max": level}
    elif policy.ratio is not None:
        fields["ratio"] = {group: level if fraction else 0.0 for group, fraction in policy.ratio.items()}
    else:
        fields["threshold"] = level
    return Policy.parse(fields)


def bound_at(level: float, *, units: bool) -> float:
    """The bound of magnitude_threshold that lies at `level` of the range that is searched by default, logarithmically."""
    known = HYPERPARAMETERS["weight_threshold"]
    low, high = (float(v) for v in (known.search_units if units else known.search) or (1e-3, 0.3))
    return math.exp(math.log(low) + level * (math.log(high) - math.log(low)))

"""Accuracies side by side: differences in standard errors, overall means paired by repeat."""

from __future__ import annotations

import math

import pytest

from benchmarks.agreement import Difference, agreement, differences, overall
from benchmarks.record import Run
from benchmarks.scenarios import SCENARIOS, listed

POLICIES = listed(SCENARIOS["digits"])[:2]


def runs(*repeats: tuple[float, float], first: int = 0) -> list[Run]:
    """One run per repeat, with the test accuracies of two policies."""
    return [{"repeat": first + i, "rows": [{"test_accuracy": a} for a in accuracies]} for i, accuracies in enumerate(repeats)]


OURS = runs((0.90, 0.80), (0.92, 0.80), (0.94, 0.83))
RACE = {"expert": runs((0.95, 0.80), (0.95, 0.82), (0.95, 0.84)), "prunesearch": OURS, "unshared": runs((0.5, 0.5))}


def test_differences_are_counted_in_their_standard_errors() -> None:
    first, second = differences(RACE)
    assert (first.pair, first.policy, second.policy) == (("expert", "prunesearch"), 0, 1)
    assert first.size == pytest.approx(0.03) and first.error == pytest.approx(0.02 / math.sqrt(3))
    assert first.errors == pytest.approx(0.03 / (0.02 / math.sqrt(3)))
    assert second.error == pytest.approx(math.sqrt((0.0004 + 0.0003) / 3))


def test_what_never_deviates_differs_by_nothing_or_beyond_all_bounds() -> None:
    assert Difference(("a", "b"), 0, 0.0, 0.0).errors == 0.0
    assert Difference(("a", "b"), 0, -0.1, 0.0).errors == math.inf


def test_overall_means_are_paired_by_repeat() -> None:
    """The expert's repeats 1 and 2 stand beside ours of the same seeds, whatever a seed is worth."""
    found = overall({"expert": runs((0.93, 0.81), (0.94, 0.85), (0.1, 0.1), first=1), "prunesearch": OURS})
    size, error = found["expert"]
    assert size == pytest.approx(0.01) and error == pytest.approx(0.0, abs=1e-12)
    assert overall(RACE).keys() == {"expert"}


def test_columns_of_one_run_say_so_and_are_not_compared() -> None:
    told = agreement(RACE, POLICIES)
    assert "| amount | expert | prunesearch | unshared, one run |" in told
    assert "| mean deviation |  |  |  | 0.0100 | 0.0187 | - |" in told
    assert "Of 2 differences between two contestants' means of one policy the largest is 0.0300 (expert against" in told
    assert "2.6 standard errors. Beyond 2 standard errors, which are those of 3 repeats: 1." in told
    assert "paired by repeat, and their standard errors: expert +0.0200 ± 0.0050." in told
    assert "differences" not in agreement({"unshared": RACE["unshared"]}, POLICIES)

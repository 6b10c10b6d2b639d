"""Whether everybody trains equally good networks: test accuracies of a race, and differences in standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev, variance
from typing import Any

from benchmarks.record import Run
from benchmarks.scenarios import schedule_of
from prunesearch.schedules.markdown import table

Policies = Sequence[dict[str, Any]]
Runs = Mapping[str, Sequence[Run]]
"""Contestant -> its runs; every run has one row per policy."""
_BASE = "prunesearch"
_MUCH = 2
"""Standard errors beyond which differences are counted."""


@dataclass(frozen=True)
class Difference:
    """Between two contestants' mean test accuracies of one policy.

    Args:
        pair: who.
        policy: its place in the list.
        size: first minus second.
        error: its standard error, from the deviations over the repeats of both.
    """

    pair: tuple[str, str]
    policy: int
    size: float
    error: float

    @property
    def errors(self) -> float:
        """How many standard errors it is, at least 0; infinite where no repeat of either deviates from its mean."""
        if not self.error:
            return math.inf if self.size else 0.0
        return abs(self.size) / self.error


def agreement(runs: Runs, policies: Policies) -> str:
    """Accuracies policy by policy, and how far contestants are apart."""
    told = (
        "Test accuracy, policy by policy, mean over the repeats; in the last line the mean of the policies' deviations over the "
        "repeats:"
    )
    return "\n\n".join(filter(None, [told, _accuracies(runs, policies), _largest(runs, policies), _overall(runs)]))


def differences(runs: Runs) -> list[Difference]:
    """Of every two contestants with two runs or more, policy by policy."""
    columns = {who: _column(found) for who, found in runs.items() if len(found) > 1}
    return [
        Difference((a, b), i, mean(x) - mean(y), math.sqrt(variance(x) / len(x) + variance(y) / len(y)))
        for a, b in combinations(columns, 2)
        for i, (x, y) in enumerate(zip(columns[a], columns[b], strict=True))
    ]


def overall(runs: Runs) -> dict[str, tuple[float, float]]:
    """Contestant -> its mean over all policies minus prunesearch's, paired by repeat, and the standard error of that.

    Only of whom has two repeats or more that prunesearch has too.
    """
    base = {r["repeat"]: _mean(r) for r in runs.get(_BASE, ())}
    paired = {who: [_mean(r) - base[r["repeat"]] for r in found if r["repeat"] in base] for who, found in runs.items()}
    return {w: (mean(d), stdev(d) / math.sqrt(len(d))) for w, d in paired.items() if w != _BASE and len(d) > 1}


def _column(found: Sequence[Run]) -> list[list[float]]:
    """(policies, repeats) test accuracies."""
    return [list(values) for values in zip(*([float(row["test_accuracy"]) for row in r["rows"]] for r in found), strict=True)]


def _mean(run: Run) -> float:
    return mean(float(row["test_accuracy"]) for row in run["rows"])


def _accuracies(runs: Runs, policies: Policies) -> str:
    """Side by side."""
    columns = [_column(found) for found in runs.values()]
    rows = [[*_words(policy), *(f"{mean(column[i]):.4f}" for column in columns)] for i, policy in enumerate(policies)]
    means = [f"{mean(v for values in column for v in values):.4f}" for column in columns]
    spreads = [f"{mean(stdev(v) for v in column):.4f}" if len(column[0]) > 1 else "-" for column in columns]
    rows += [["mean", "", "", "", *means], ["mean deviation", "", "", "", *spreads]]
    heads = [who if len(found) > 1 else f"{who}, one run" for who, found in runs.items()]
    return table(["schedule", "granularity", "scope", "amount", *heads], rows)


def _words(policy: Mapping[str, Any]) -> list[str]:
    amount = f"{policy['threshold']:g} from {policy['epoch_threshold']}"
    return [schedule_of(policy), str(policy["granularity"]), str(policy["scope"]), amount]


def _largest(runs: Runs, policies: Policies) -> str:
    """The largest difference, in accuracy and in standard errors; empty where nobody but one has two runs."""
    found = differences(runs)
    if not found:
        return ""
    wide, sure = max(found, key=lambda d: abs(d.size)), max(found, key=lambda d: d.errors)
    many = sum(d.errors > _MUCH for d in found)
    return (
        f"Of {len(found)} differences between two contestants' means of one policy the largest is {_told(wide, policies)}; "
        f"counted in standard errors of the difference the largest is {_told(sure, policies)}. "
        f"Beyond {_MUCH} standard errors, which are those of {_repeats(runs)} repeats: {many}."
    )


def _told(difference: Difference, policies: Policies) -> str:
    one, other = difference.pair
    words = " ".join(_words(policies[difference.policy]))
    return f"{abs(difference.size):.4f} ({one} against {other}, {words}), {difference.errors:.1f} standard errors"


def _repeats(runs: Runs) -> str:
    counts = [len(found) for found in runs.values() if len(found) > 1]
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _overall(runs: Runs) -> str:
    """How far everybody's overall mean is from prunesearch's; empty where nobody has two repeats in common with it."""
    found = [f"{who} {size:+.4f} ± {error:.4f}" for who, (size, error) in overall(runs).items()]
    if not found:
        return ""
    return (
        f"Overall means minus prunesearch's, paired by repeat, and their standard errors: {', '.join(found)}. Initial values and "
        "batches are drawn differently; from equal ones the expert's loop and prunesearch's give equal figures to the last bit "
        "(`tests/benchmarks/test_peers.py`). All trials of one repeat of prunesearch begin with one network and share epochs, so "
        "that a repeat is one draw."
    )

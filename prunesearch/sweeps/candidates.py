"""Lists of candidates for whole networks: plain cuts, policies of one's own, and all schedules side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunesearch import rules
from prunesearch.errors import UsageError
from prunesearch.policy import Policy
from prunesearch.results import TaskInfo
from prunesearch.sweeps.base import Candidate
from prunesearch.sweeps.levels import at_level

ROUNDS = 4
"""Steps in which rewind_pruning goes to a level."""


@dataclass(frozen=True)
class Cuts:
    """One cut per network, in every combination.

    Args:
        levels: fractions in [0, 1).
        granularities: what is removed.
        criteria: by which score.
        scopes: against whom it competes.
        retrain: epochs trained after the cut. From scratch they are the last of the N epochs; given weights are cut first.
    """

    levels: tuple[float, ...]
    granularities: tuple[str, ...] = ("weight",)
    criteria: tuple[str, ...] = ("l1",)
    scopes: tuple[str, ...] = ("layer",)
    retrain: int = 0

    def candidates(self, info: TaskInfo) -> list[Candidate]:
        """The points, line by line.

        Raises:
            UsageError: more epochs after the cut than there are.
            PolicyError: a criterion does not go with a granularity.
        """
        epochs = self.retrain if info.weights_given else info.epochs
        if self.retrain > epochs:
            raise UsageError(f"retrain: {self.retrain} is more than the {epochs} epochs", "train longer with --epochs")
        kinds = itertools.product(self.granularities, self.criteria, self.scopes)
        lines = [(self._name(*kind), self._fields(*kind, epochs)) for kind in kinds]
        return [_candidate(name, level, fields) for name, fields in lines for level in self.levels]

    def _name(self, granularity: str, criterion: str, scope: str) -> str:
        return f"{granularity}, {criterion}" + (f", {scope}" if self.scopes != ("layer",) else "")

    def _fields(self, granularity: str, criterion: str, scope: str, epochs: int) -> dict[str, Any]:
        fields = {"granularity": granularity, "criterion": criterion, "scope": scope, "function": "one_shot_static"}
        return {**fields, "epochs": epochs, "epoch_threshold": epochs - self.retrain}


def policy_candidates(policies: Mapping[str, Policy], levels: Sequence[float], info: TaskInfo) -> list[Candidate]:
    """Every policy at every level; rescaled where it was made for other epochs than the task's.

    Args:
        policies: name of the line -> policy.
        levels: fractions in [0, 1); each takes the place of the policy's own amount, see `at_level`.
        info: the task.

    Raises:
        PolicyError: a level does not go with the rest of a policy.
    """
    scaled = {name: p if info.weights_given else p.rescaled(info.epochs) for name, p in policies.items()}
    return [Candidate(n, level, at_level(p, level) if level else None) for n, p in scaled.items() for level in levels]


def schedule_candidates(
    info: TaskInfo,
    levels: Iterable[float],
    *,
    granularity: str = "weight",
    criterion: str = "l1",
    scope: str = "layer",
) -> list[Candidate]:
    """The seven schedules of the prunpy system, each at every level: the sensitivity of a whole network.

    magnitude_percentage and magnitude_threshold, each as one_shot, one_shot_static and gradual, and rewind_pruning. All
    begin at a quarter of the epochs (at once where weights are given); gradual takes half of what is left, and so all have
    epochs left to recover. A bound goes from 0 to 1 through its default search range, and rewind_pruning goes
    to the level in four steps as long as it recovers: for both the level that is reached is an outcome.

    Args:
        info: the task; N is its epochs.
        levels: fractions in [0, 1).
        granularity: what is removed.
        criterion: by which score.
        scope: against whom it competes; bounds know none.

    Raises:
        UsageError: there are too few epochs.
        PolicyError: the criterion does not go with the granularity or with bounds.
    """
    if info.epochs < 2:
        raise UsageError(f"{info.epochs} epochs are too few to compare schedules", "--epochs 10")
    given = tuple(levels)
    shared = {"granularity": granularity, "criterion": criterion, "epochs": info.epochs, "epoch_threshold": _start(info)}
    found = []
    for kind, function in itertools.product(("percentage", "threshold"), ("one_shot", "one_shot_static", "gradual")):
        fields = {**shared, "schedule_type": f"magnitude_{kind}", "function": function}
        fields |= {"scope": scope} if kind == "percentage" else {}
        fields |= {"converge_over": max(1, (info.epochs - _start(info)) // 2)} if function == "gradual" else {}
        found += [_candidate(f"{kind}, {function}", level, fields) for level in given]
    rewinding = {**shared, "schedule_type": "rewind_pruning", "scope": scope}
    return found + [_rewinding(level, rewinding, info) for level in given]


def _start(info: TaskInfo) -> int:
    return 0 if info.weights_given else min(rules.scratch_start(info.epochs), info.epochs - 1)


def _rewinding(level: float, fields: Mapping[str, Any], info: TaskInfo) -> Candidate:
    if level == 0:
        return Candidate("rewind_pruning", level, None)
    step = max(0.001, level / ROUNDS)
    how: dict[str, Any] = {"threshold": min(step, level), "threshold_step": step, "threshold_max": level}
    how["recovery_epochs"] = max(1, (info.epochs - _start(info)) // ROUNDS)
    return Candidate("rewind_pruning", level, Policy.parse({**fields, **how}))


def _candidate(series: str, level: float, fields: Mapping[str, Any]) -> Candidate:
    if level == 0:
        return Candidate(series, level, None)
    plain = Policy.parse(fields)  # an amount of its own, which the level replaces
    return Candidate(series, level, at_level(plain, level))

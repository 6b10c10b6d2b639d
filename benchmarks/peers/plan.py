"""The four schedules, as a page or a script would write them down: which level is cut before which epoch.

Written from their meaning and not from prunesearch's code; a test compares the two, for all must do the same work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Cut:
    """A cut before an epoch.

    Args:
        level: fraction that is gone afterwards, cumulative.
        length: epochs over which the learning rate starts anew; 0: it goes on.
        rate: where it then starts; None: at the recipe's.
    """

    level: float
    length: int = 0
    rate: float | None = None


class Plan:
    """One policy, epoch by epoch.

    Args:
        policy: its fields as in policies.yaml, `epochs` among them.

    Attributes:
        came_back: the level whose accuracy has come back, right after `before` has found that; else None.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._epochs = int(policy["epochs"])
        self._fixed = fixed_cuts(policy) if policy.get("function") else {}
        self._target, self._level, self._recovering = -math.inf, 0.0, False
        self.came_back: float | None = None

    def before(self, epoch: int, accuracy: float | None) -> Cut | None:
        """The cut before an epoch (N: after the last), or None.

        Args:
            epoch: in order, from 0.
            accuracy: on the validation split, after the epoch before.
        """
        self.came_back = None
        if self._policy.get("function"):
            return self._fixed.get(epoch)
        return self._rewinding(epoch, -math.inf if accuracy is None else accuracy)

    def _rewinding(self, epoch: int, accuracy: float) -> Cut | None:
        p, first = self._policy, int(self._policy["epoch_threshold"])
        if epoch <= first:
            self._target = max(self._target, accuracy)
            return self._next(float(p["threshold"])) if epoch == first else None
        if not self._recovering or accuracy < self._target - float(p["eps"]) - 1e-9:
            return None
        self.came_back = self._level
        level = min(float(p.get("threshold_max", 0.99)), self._level + float(p["threshold_step"]))
        if epoch >= self._epochs or level - self._level < 1e-9:
            self._recovering = False
            return None
        return self._next(level)

    def _next(self, level: float) -> Cut:
        self._level, self._recovering = level, True
        return Cut(level, int(self._policy["recovery_epochs"]), float(self._policy["initial_learning_rate"]))


def fixed_cuts(policy: Policy) -> dict[int, Cut]:
    """The cuts of a schedule that is known beforehand, by epoch."""
    last, first, goal = int(policy["epochs"]), int(policy["epoch_threshold"]), float(policy["threshold"])
    match policy["function"]:
        case "gradual" if policy["converge_over"] > 0:
            span = int(policy["converge_over"])
            levels = {first + k: goal * _ramp(k / span, str(policy.get("ramp", "cubic"))) for k in range(1, span + 1)}
        case "iterative":
            rounds = int(policy["prune_iter"])
            at = [first + r * (last - first) // rounds for r in range(rounds)]
            levels = {epoch: 1 - (1 - goal) ** ((r + 1) / rounds) for r, epoch in enumerate(at)}
        case _:
            levels = {first: goal}
    return {epoch: Cut(level, _length(policy, sorted(levels), epoch)) for epoch, level in levels.items()}


def _length(policy: Policy, epochs: list[int], epoch: int) -> int:
    """Epochs from a cut to the next one that restarts the learning rate, or to the end."""
    restarts = [e for e in epochs if policy["function"] != "gradual" or e == epochs[-1]]
    if not policy.get("lr_restart") or epoch not in restarts:
        return 0
    return next((e for e in restarts if e > epoch), int(policy["epochs"])) - epoch


def _ramp(x: float, kind: str) -> float:
    return x if kind == "linear" else 1 - (1 - x) ** 3


@dataclass
class Rate:
    """A cosine that starts anew where a plan says so, and holds its last value beyond its length.

    Args:
        peak: where it starts.
        steps: of one epoch.
        length: epochs over which it runs.
    """

    peak: float
    steps: int
    length: int
    _at: int = 0

    def restart(self, cut: Cut, recipe: float) -> None:
        """Start anew where the cut says so."""
        if cut.length:
            self.peak, self.length, self._at = recipe if cut.rate is None else cut.rate, cut.length, 0

    def next(self) -> float:
        """The learning rate of the next step."""
        total = max(1, self.length * self.steps)
        at = min(self._at, total - 1)
        self._at += 1
        return self.peak * (1 + math.cos(math.pi * at / total)) / 2

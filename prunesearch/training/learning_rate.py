"""Learning-rate schedules as pure functions of the steps since the last restart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prunesearch.tasks.task import Task

RISE = 0.3
"""Under one_cycle, the share of the length over which the rate rises (Smith & Topin 2018, torch's default)."""
START = 1 / 25
"""Under one_cycle, the factor at the first step."""
END = START / 1e4
"""Under one_cycle, the factor at the last step."""


@dataclass(frozen=True)
class Recipe:
    """How a learning rate changes; see `Task` for the meaning of the fields."""

    kind: str = "constant"
    warmup_epochs: float = 0.0
    steps: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1

    @classmethod
    def of(cls, task: Task) -> Recipe:
        """The recipe of a task."""
        return cls(task.lr_schedule, task.warmup_epochs, task.lr_steps, task.lr_gamma)


def factor(recipe: Recipe, step: int, steps_per_epoch: int, length: int) -> float:
    """What the largest learning rate is multiplied by.

    Args:
        recipe: kind and warm-up.
        step: steps since the learning rate last started, from 0.
        steps_per_epoch: batches of one epoch, at least 1.
        length: epochs over which it runs; beyond them it keeps its last value. 0 counts as 1.

    Returns:
        A number in [0, 1].
    """
    total = max(1, length * steps_per_epoch)
    at = min(step, total - 1)
    warm = min(round(recipe.warmup_epochs * steps_per_epoch), total)
    if at < warm:
        return (at + 1) / warm
    return _shape(recipe, at - warm, max(1, total - warm))


def _shape(recipe: Recipe, at: int, total: int) -> float:
    """The factor at step `at` of `total`, without warm-up."""
    match recipe.kind:
        case "cosine":
            return _cosine(1.0, 0.0, at / total)
        case "step":
            return recipe.gamma ** sum(at >= part * total for part in recipe.steps)
        case "one_cycle":
            return _one_cycle(at, total)
    return 1.0


def _one_cycle(at: int, total: int) -> float:
    top = RISE * total - 1
    if at <= top:
        return _cosine(START, 1.0, at / top)
    return _cosine(1.0, END, (at - top) / max(total - 1 - top, 1e-12))


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Segment:
    """One run of the learning rate, from a restart to the next.

    Args:
        first_epoch: the epoch at whose first step it started.
        length: epochs over which it runs.
        peak: its largest value, in units of the recipe's `lr`.
    """

    first_epoch: int
    length: int
    peak: float = 1.0

    def rates(self, recipe: Recipe, epoch: int, steps_per_epoch: int) -> list[float]:
        """The factors of all steps of an epoch, relative to the recipe's `lr`."""
        before = (epoch - self.first_epoch) * steps_per_epoch
        return [self.peak * factor(recipe, before + i, steps_per_epoch, self.length) for i in range(steps_per_epoch)]

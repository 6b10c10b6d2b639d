"""How long one thing takes compared with another, on a machine that is not quite quiet. No torch.

Both are timed in turn, sample by sample, so that whatever slows the machine slows both. A round is some tens of samples
of each; its ratio is that of the two medians, and the answer is the median of the rounds' ratios. With two neighbours
on two cores this repeats within a standard deviation of .009 (LeNet-5, batch 1) where the ratio of the shortest times,
taken from whatever rounds had them, is off by .08 at batch 64.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[[int], None]
"""Runs the thing n times and returns when all of them are done."""
Clock = Callable[[], float]
"""Seconds that have passed, from any start."""

MIN_ROUNDS = 5
STEADY = 0.05
"""An IQR above this share of the ratio is not steady: rounds go on, up to `PATIENCE` times as many."""
PATIENCE = 3
_WARM_SECONDS, _WARM_CALLS = 0.02, 3
_MOST_SAMPLES = 100  # per round; more would not make its median steadier


@dataclass(frozen=True)
class Effort:
    """How much may be spent.

    Args:
        rounds: rounds asked for.
        seconds: aimed at for all rounds together; long calls take longer, for a round has at least one of each. Twice as
            many repeat no better (LeNet-5, batch 1: standard deviation .006 at 0.1 s, .005 at 0.2 s, .006 at 0.4 s).
        limit: seconds after which no further round is begun, once there are `MIN_ROUNDS`.
        sample: seconds that one sample lasts at least; short calls are repeated to fill it.
    """

    rounds: int = 15
    seconds: float = 0.1
    limit: float = 20.0
    sample: float = 5e-5


@dataclass(frozen=True)
class Paired:
    """What was found.

    Args:
        ratio: median over the rounds of (median of one / median of the other).
        ratio_iqr: interquartile range of the rounds' ratios.
        one: seconds per call: the smallest of the rounds' medians.
        one_iqr: interquartile range of the rounds' medians.
        other: the same of what it was compared with.
        other_iqr: likewise.
        rounds: rounds made.
        calls: calls of each that were timed, all rounds together.
    """

    ratio: float
    ratio_iqr: float
    one: float
    one_iqr: float
    other: float
    other_iqr: float
    rounds: int
    calls: int


def paired(one: Call, other: Call, effort: Effort, clock: Clock = time.perf_counter, wall: Clock = time.perf_counter) -> Paired:
    """Compare two calls, sample by sample in turn.

    Args:
        one: what is measured.
        other: what it is compared with.
        effort: how much may be spent.
        clock: what times a sample.
        wall: what times the effort.
    """
    with _no_collection():
        began = wall()
        costs = [_warmed_up(call, effort, wall) for call in (one, other)]
        repeats = [max(1, math.ceil(effort.sample / cost)) for cost in costs]
        pair = sum(n * cost for n, cost in zip(repeats, costs, strict=True))
        samples = min(_MOST_SAMPLES, max(1, int(effort.seconds / effort.rounds / pair)))
        samples -= samples % 2 if samples > 1 else 0  # even: each of the two comes first as often
        times: list[tuple[float, float]] = []
        while _goes_on(times, effort, wall() - began):
            order = [(len(times) + sample) % 2 for sample in range(samples)]
            times.append(_round((one, other), repeats, order, clock))
    return _summary(times, samples * repeats[0])


def _goes_on(times: list[tuple[float, float]], effort: Effort, spent: float) -> bool:
    if len(times) < MIN_ROUNDS:
        return True
    if spent > effort.limit or len(times) >= PATIENCE * effort.rounds:
        return False
    return len(times) < effort.rounds or not _steady(times)


def _steady(times: list[tuple[float, float]]) -> bool:
    found = _summary(times, 0)
    return found.ratio_iqr <= STEADY * found.ratio


def _warmed_up(call: Call, effort: Effort, wall: Clock) -> float:
    """Seconds per call, at best, once caches, allocators and kernels are ready."""
    began = wall()
    costs: list[float] = []
    while len(costs) < _WARM_CALLS or (wall() - began < _WARM_SECONDS and len(costs) < _MOST_SAMPLES):
        before = wall()
        call(1)
        costs.append(wall() - before)
        if wall() - began > effort.limit / 4:
            break
    return max(min(costs), 1e-9)


def _round(calls: tuple[Call, Call], repeats: list[int], order: list[int], clock: Clock) -> tuple[float, float]:
    """Medians of one round, seconds per call. `order` says who comes first: the second finds the caches warm or dirty."""
    found: tuple[list[float], list[float]] = ([], [])
    for first in order:
        for which in (first, 1 - first):
            before = clock()
            calls[which](repeats[which])
            found[which].append((clock() - before) / repeats[which])
    return float(np.median(found[0])), float(np.median(found[1]))


def _summary(times: list[tuple[float, float]], calls: int) -> Paired:
    table = np.maximum(np.asarray(times), 1e-9)  # (rounds, 2); a clock may stand still over one sample
    ratios = table[:, 0] / table[:, 1]
    return Paired(
        ratio=float(np.median(ratios)),
        ratio_iqr=_iqr(ratios),
        one=float(table[:, 0].min()),
        one_iqr=_iqr(table[:, 0]),
        other=float(table[:, 1].min()),
        other_iqr=_iqr(table[:, 1]),
        rounds=len(times),
        calls=len(times) * calls,
    )


def _iqr(values: np.ndarray[Any, Any]) -> float:
    low, high = np.percentile(values, [25, 75])
    return float(high - low)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the samples."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()

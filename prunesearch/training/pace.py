"""How fast a task trains here: batches per second, beside whoever else is at work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from prunesearch.training.course import Setting
from prunesearch.training.graphs import CudaCapture
from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.numerics import Numerics
from prunesearch.training.optimizers import make_optimizer
from prunesearch.training.prepare import Prepared

LEAST = 50
"""Batches that are trained however little time there is."""


def pace(setting: Setting, seconds: float) -> float:
    """Training batches per second of a network that is thrown away, in the numerics and the way of the search.

    Args:
        setting: the task on its device.
        seconds: to train for, after some batches that warm up; at least `LEAST` batches are trained, or an epoch.
    """
    prepared, numerics = setting.prepared, Numerics(setting.prepared.device, fast=setting.fast)
    loop = replace(dense_loop(prepared, numerics, graphed=setting.graphed), between=setting.between)
    with numerics.training():
        train_epoch(loop, 0, [1.0] * LEAST)
        began, taken = time.perf_counter(), _Taken(time.perf_counter() + seconds)
        while not taken.count or time.perf_counter() < taken.until:  # the loss is read at the end of every epoch only
            train_epoch(loop, 1 + taken.count, taken.rates(prepared.splits.train.steps))
        return taken.count / (time.perf_counter() - began)


def dense_loop(prepared: Prepared, numerics: Numerics, *, seed: int = 0, graphed: bool = False) -> Loop:
    """The training of a fresh dense network that nobody keeps.

    Args:
        prepared: the task on its device.
        numerics: how it computes.
        seed: of initial values and batches.
        graphed: whether steps are recorded as CUDA graphs.
    """
    model = prepared.fresh(seed)
    return Loop(
        model,
        make_optimizer(prepared.task, model, graphed=graphed),
        prepared.loss,
        prepared.splits.train,
        seed=seed,
        own=prepared.task.train_epoch,
        forward=numerics.forward,
        capture=CudaCapture(prepared.device) if graphed else None,
    )


class _Taken:
    """Counts batches until a moment.

    Args:
        until: on `time.perf_counter`.
    """

    def __init__(self, until: float) -> None:
        self.until, self.count = until, 0

    def rates(self, steps: int) -> Iterator[float]:
        """A rate per batch of one epoch, for as long as there is time."""
        for i in range(steps):
            if i >= LEAST and time.perf_counter() > self.until:
                return
            self.count += 1
            yield 1.0

"""How fast a task trains here: batches per second, beside whoever else is at work."""

from __future__ import annotations

import time

from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.optimizers import make_optimizer
from prunesearch.training.prepare import Prepared

CHUNK = 50
"""Batches between two looks at the clock: the loss is read from the device then, which waits for all of them."""


def pace(prepared: Prepared, seconds: float) -> float:
    """Training batches per second of a network that is thrown away.

    Args:
        prepared: the task on its device.
        seconds: to train for, after a first chunk that warms up; at least one chunk is trained.
    """
    task, steps = prepared.task, prepared.splits.train.steps
    model = prepared.fresh(0)
    optimizer = make_optimizer(task, model)
    loop = Loop(model, optimizer, prepared.loss, prepared.splits.train, 0, _nothing, _nothing, task.train_epoch)
    rates = [1.0] * min(CHUNK, steps)
    train_epoch(loop, 0, rates)
    began, count = time.perf_counter(), 0
    while not count or time.perf_counter() - began < seconds:
        train_epoch(loop, count, rates)
        count += len(rates)
    return count / (time.perf_counter() - began)


def _nothing() -> None:
    """There are no masks to keep and nobody to wait for."""

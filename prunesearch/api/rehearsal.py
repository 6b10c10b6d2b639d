"""What a search would cost: a few batches are trained, nothing is kept. Imports torch."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from prunesearch.engines import EngineSpec
from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.measure.accuracy import metric_of
from prunesearch.results import TaskInfo
from prunesearch.tasks import Task, load_task
from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.numerics import Numerics, one_thread
from prunesearch.training.pace import dense_loop
from prunesearch.training.prepare import Prepared, find_device, prepare

BATCHES = 20
"""Batches that are trained; one more beforehand warms up."""


@dataclass(frozen=True)
class Rehearsal:
    """What one worker needs.

    Args:
        info: what the task is.
        seconds_per_epoch: to train and validate once, from at most `BATCHES` of its batches.
        peak_mb: memory at its highest, in MB of 1e6 bytes: of the process, or on the CUDA device.
    """

    info: TaskInfo
    seconds_per_epoch: float
    peak_mb: float


def rehearse(spec: EngineSpec) -> Rehearsal:
    """Load the task as a worker would, train a few batches, validate once.

    Raises:
        TaskError: the task does not load, its parts do not fit together, or its loss is no finite number.
        EnvironmentFailure: data, device or memory is missing.
    """
    device = find_device(spec.device)
    with one_thread(device):
        task = load_task(spec.task, data_dir=spec.data_dir, seed=spec.seed)
        try:
            prepared = prepare(task, spec.task, seed=spec.seed, device=device, epochs=spec.epochs)
            return _rehearsed(task, prepared, spec.seed)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise EnvironmentFailure(f"out of memory: {error}", "a smaller batch_size in the task needs less") from None


def _rehearsed(task: Task, prepared: Prepared, seed: int) -> Rehearsal:
    loop, steps = dense_loop(prepared, Numerics(prepared.device), seed=seed), prepared.splits.train.steps
    batches = min(BATCHES, steps)
    _timed(prepared, lambda: train_epoch(loop, 0, [1.0]))
    seconds = _timed(prepared, lambda: _trained(task, loop, batches))
    validation = _timed(prepared, lambda: metric_of(task, loop.model, prepared.splits.val.ordered()))
    return Rehearsal(prepared.info, seconds * steps / batches + validation, _peak_mb(prepared))


def _trained(task: Task, loop: Loop, batches: int) -> None:
    """Train some batches at the full learning rate; what a warm-up may still save is not judged."""
    loss = train_epoch(loop, 0, [1.0] * batches)
    if not math.isfinite(loss) and not task.warmup_epochs:
        rate = float(loop.optimizer.param_groups[0]["base_lr"])
        told = f"the training loss became {loss} within {batches + 1} batches (learning rate {rate:.3g})"
        raise TaskError(told, "look for NaN and large values in the data, or lower the learning rate")


def _timed(prepared: Prepared, do: Callable[[], object]) -> float:
    """Seconds that `do` takes, the device's work included."""
    began = time.perf_counter()
    do()
    if prepared.device.type == "cuda":
        torch.cuda.synchronize(prepared.device)
    return time.perf_counter() - began


def _peak_mb(prepared: Prepared) -> float:
    if prepared.device.type == "cuda":
        return torch.cuda.max_memory_allocated(prepared.device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

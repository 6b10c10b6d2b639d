"""The engine that trains nothing: plausible, deterministic results in half a millisecond, and faults on demand. No torch."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake_networks import FakeNetwork, fake_network
from prunesearch.engines.fake_trial import simulate
from prunesearch.results import Job, Outcome, Result, TaskInfo
from prunesearch.tasks.catalogue import DATA

Fault = Literal["fail", "nan", "lost", "slow"]
"""What can be made to go wrong: an exception in the trial, a loss that is not a number, a worker's death, slowness."""

_SIZES = {"digits": (1149, 288, 360), "iris": (96, 24, 30), "mnist": (54_000, 6_000, 10_000), "cifar10": (45_000, 5_000, 10_000)}
_SIZES |= {"fashion": _SIZES["mnist"], "moons": (1280, 320, 400), "circles": (1280, 320, 400)}
_SLOW = 10  # times the usual duration, and at least this many hundredths of a second


class FakeEngine:
    """Simulates trials: what can be counted is counted, the rest follows formulas; see `fake_trial`.

    Args:
        spec: built-in tasks are known with their networks; any other task is described as a small perceptron.
        seconds: how long every trial pretends to take; 0: `next` never waits.
        faults: trial number -> what goes wrong the first, second, ... time that it runs; then it runs well.
        error: raised by `describe` and `next`, like that of a task that does not load.
        info: a description in place of the built-in one.
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        seconds: float = 0.0,
        faults: Mapping[int, Sequence[Fault]] | None = None,
        error: Exception | None = None,
        info: TaskInfo | None = None,
    ) -> None:
        self._spec = spec
        self._seconds = seconds
        self._faults = {number: list(kinds) for number, kinds in (faults or {}).items()}
        self._error = error
        self._info = info
        self._network = fake_network(spec.task)
        self._free = [0.0] * self.slots  # when each slot has finished what it was given
        self._order = itertools.count()
        self._running: list[tuple[float, int, Job, Fault | None]] = []
        self._closed = False

    @property
    def slots(self) -> int:
        """Workers asked for, or 2."""
        return self._spec.workers or 2

    def describe(self) -> TaskInfo:
        """The built-in task, or a small perceptron under the task's name."""
        if self._error:
            raise self._error
        return self._info or describe(self._spec, self._network)

    def submit(self, job: Job) -> None:
        """Queue a job: it begins when a slot is free."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        faults = self._faults.get(job.number)
        fault = faults.pop(0) if faults else None
        lasts = max(self._seconds, 0.01) * _SLOW if fault == "slow" else self._seconds
        begins = max(heapq.heappop(self._free), time.monotonic() if lasts else 0.0)
        heapq.heappush(self._free, begins + lasts)
        heapq.heappush(self._running, (begins + lasts, next(self._order), job, fault))

    def next(self, timeout: float | None = None) -> Outcome | None:
        """The job that finishes first."""
        if not self._running:
            raise LookupError("no job was submitted that could finish")
        wait = self._running[0][0] - time.monotonic() if self._running[0][0] else 0.0
        if wait > 0:
            time.sleep(wait if timeout is None else min(wait, timeout))
            if timeout is not None and timeout < wait:
                return None
        _, _, job, fault = heapq.heappop(self._running)
        if self._error:
            raise self._error
        return self._outcome(job, fault)

    def close(self) -> None:
        """Forget all jobs."""
        self._closed = True
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _outcome(self, job: Job, fault: Fault | None) -> Outcome:
        if fault == "lost":
            return Outcome(job, None, lost="worker 0 (process 0) was killed by SIGKILL (simulated)")
        result = simulate(self._network, job)
        if fault in ("fail", "nan"):
            result = _failed(result, fault)
        return Outcome(job, result)


def describe(spec: EngineSpec, network: FakeNetwork) -> TaskInfo:
    """What a driver is told of the task."""
    data, _, name = spec.task.partition("-")
    known = DATA.get(data)
    ready = known.networks.get(name) if known else None
    epochs = ready.recipe.get("epochs", 10) if ready else 10
    return TaskInfo(
        name=spec.task,
        digest=hashlib.sha256(f"fake {spec.task}".encode()).hexdigest()[:16],
        epochs=epochs if spec.epochs is None else spec.epochs,
        metric="accuracy",
        direction="maximize",
        groups=network.groups,
        weights_given=False,
        params=network.params(),
        macs=network.macs(),
        sizes=_SIZES.get(data, _SIZES["digits"]),
        classes=known.classes if known else 10,
        input_shape=known.shape if known else (64,),
        device="fake",
    )


def _failed(result: Result, fault: str) -> Result:
    """A trial that ended in its first epoch."""
    reason = "the loss is not a number in epoch 0" if fault == "nan" else "RuntimeError: simulated failure"
    trace = None if fault == "nan" else f"Traceback (most recent call last):\n{reason}"
    return replace(
        result, state="failed", measures=None, epochs=(), layers=(), signature="", reason=reason, trace=trace, epochs_trained=0
    )

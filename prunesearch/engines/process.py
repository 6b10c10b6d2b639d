"""The engine for one machine: worker processes, one thread and one device each. This process never imports torch.

Every worker has a thread here that hands it jobs and waits for its answers, so that a worker is never idle because the
driver is busy. A worker that dies gives its job back as lost and is replaced.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Self

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.calibration import best_count, calibrate
from prunesearch.engines.devices import places, usable_cores
from prunesearch.engines.fleet import Fleet
from prunesearch.engines.handle import WorkerDied
from prunesearch.results import Job, Outcome, TaskInfo

_logger = logging.getLogger("prunesearch.engines")


class ProcessEngine:
    """Runs jobs in processes of their own, which import torch once and load the task once.

    Scripts need no `if __name__ == "__main__"`: workers do not run the parent's script again.

    Args:
        spec: what to run on what. `workers` 0: one per usable core, or `workers_per_gpu` per GPU. Devices are dealt round robin.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._fleet = Fleet(spec)
        self._trying = Fleet(replace(spec, stages=None))
        self._pending: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unanswered = 0
        self._places: Future[tuple[str, ...]] = Future()
        self._info: Future[TaskInfo] = Future()

    @property
    def slots(self) -> int:
        """Workers. Asks the first one for the devices where `spec` names neither them nor a number."""
        if self._spec.workers:
            return self._spec.workers
        if self._spec.device == "cpu":
            return usable_cores()
        if not self._places.done():
            self._begin()
        return len(self._places.result())

    def describe(self) -> TaskInfo:
        """What the task is, told by the first worker. Starts all of them."""
        self._begin()
        return self._info.result()

    def submit(self, job: Job) -> None:
        """Queue a job; the first worker that has loaded the task takes it."""
        self._begin()
        self._unanswered += 1
        self._pending.put(job)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """The next outcome. A task that does not load raises here what `describe` would.

        Raises:
            LookupError: nothing was submitted that could finish.
            EnvironmentFailure: workers die as soon as they are started.
        """
        if not self._unanswered or self._fleet.closed:
            raise LookupError("no job was submitted that could finish")
        try:
            found = self._finished.get_nowait() if timeout == 0 else self._finished.get(timeout=timeout)
        except queue.Empty:
            return None
        self._unanswered -= 1
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Kill all workers; jobs in flight are abandoned."""
        self._fleet.close()
        self._trying.close()
        self._pending.put(None)
        while self._threads:  # from the last to the first, which starts the others
            self._threads.pop().join()
        self._fleet.bury()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self) -> None:
        if self._fleet.closed:
            raise RuntimeError("the engine is closed")
        if not self._threads:
            self._start_thread(self._serve_first)

    def _start_thread(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"worker-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve_first(self) -> None:
        """The first worker's thread: finds the devices, starts the other threads, tells what the task is."""
        try:
            dealt = self._dealt(self._fleet.ask_again(0, self._spec.device, "devices"))
            self._places.set_result(dealt)
            for index, device in enumerate(dealt[1:], 1):
                self._start_thread(self._serve, index, device)
            self._info.set_result(self._fleet.ask_again(0, dealt[0], "describe"))
        except Exception as error:  # noqa: BLE001 - raised again by `describe` and `next`, in the driver's thread
            self._refuse(error)
        else:
            self._work(0, dealt[0])

    def _dealt(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The device of every worker, after a measurement of how many a GPU is best shared by, where that is asked for."""
        spec, per_gpu = self._spec, self._spec.workers_per_gpu
        if spec.workers or per_gpu or devices == ("cpu",):
            return places(devices, spec.workers, per_gpu or 1, usable_cores())
        dealt = places(devices, 0, best_count(calibrate(self._trying, devices[0])), usable_cores())
        self._fleet.resize(len(dealt))
        return dealt

    def _serve(self, index: int, device: str) -> None:
        """The thread of any other worker. It takes no job before the task is loaded: the first worker might be idle."""
        try:
            self._fleet.ask_again(index, device, "describe")
        except Exception as error:  # noqa: BLE001 - where the task loads nowhere the first worker tells
            if self._info.exception() is None and not self._fleet.closed:
                reason = (str(error) or type(error).__name__).strip().splitlines()[-1]
                _logger.warning("worker %d takes no trials, for the task does not load in it: %s", index, reason)
            return
        self._work(index, device)

    def _work(self, index: int, device: str) -> None:
        """A job in, an outcome out, until the engine is closed."""
        while job := self._next_job():
            self._finished.put(self._run(job, index, device))

    def _run(self, job: Job, index: int, device: str) -> Outcome | Exception:
        try:
            return Outcome(job, self._fleet.ask(index, device, job))
        except WorkerDied as death:
            return Outcome(job, None, lost=str(death))
        except Exception as error:  # noqa: BLE001 - raised again by `next`, in the driver's thread
            return error

    def _refuse(self, error: Exception) -> None:
        for future in (self._places, self._info):
            if not future.done():
                future.set_exception(error)
        while self._next_job():
            self._finished.put(error)

    def _next_job(self) -> Job | None:
        """The next job; None, for this thread and all others, when the engine is closed."""
        job = self._pending.get()
        if job is None or self._fleet.closed:
            self._pending.put(None)
            return None
        return job

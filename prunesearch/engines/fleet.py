"""All workers of the process engine: starts, replaces and ends them, and gives up when they only die."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from dataclasses import replace
from typing import Any

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.handle import Worker, WorkerDied
from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.results import Job, TaskInfo

MOST_DEATHS = 3
"""Workers in a row that may die without having finished a job; then there is no point in starting another."""

_logger = logging.getLogger("prunesearch.engines")


class FleetClosed(Exception):
    """The engine was closed meanwhile."""


class Fleet:
    """Workers by index. Every method may be called from any thread.

    Args:
        spec: what the workers load; each gets its own device.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._workers: dict[int, Worker] = {}
        self._turns: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._closed = False
        self._deaths: list[str] = []
        self._told: set[str] = set()
        self._digests: dict[int, str] = {}

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def ask(self, index: int, device: str, request: Any) -> Any:
        """The answer of worker `index`, which is started where there is none, and replaced where it died idle.

        Raises:
            WorkerDied: it died over this request.
            EnvironmentFailure: workers die as soon as they are started, `MOST_DEATHS` in a row.
            FleetClosed: `close` was called.
            TaskError: a worker that takes another's place has loaded another task.
            Exception: what the worker could not do.
        """
        with self._turns[index]:
            while True:
                worker = self._living(index, device)
                greets = isinstance(request, Job) and not worker.known
                try:
                    answer = worker.ask("describe" if greets else request)
                except WorkerDied as death:
                    self._mourn(index, worker, str(death))
                    if death.begun and not greets:
                        raise
                    continue
                if isinstance(answer, TaskInfo):
                    self._compare(index, answer.digest)
                    worker.known = True
                if worker.finished:
                    self._deaths.clear()
                if not greets:
                    return answer

    def ask_again(self, index: int, device: str, request: Any) -> Any:
        """The answer of worker `index`, asked again of its replacement where it dies.

        Raises:
            EnvironmentFailure: as `ask`.
        """
        while True:
            try:
                return self.ask(index, device, request)
            except WorkerDied:
                continue  # told and counted already

    def resize(self, workers: int) -> None:
        """How many workers there will be, for those that are started from now on; those that are there end."""
        with self._lock:
            self._spec = replace(self._spec, workers=workers)
            idle = list(self._workers.values())
            self._workers.clear()
        for worker in idle:
            worker.bury()

    def close(self) -> None:
        """End all workers at once."""
        with self._lock:
            self._closed = True
            workers = list(self._workers.values())
        for worker in workers:
            worker.kill()

    def bury(self) -> None:
        """Give back what dead workers hold; after `close`, when no thread asks any more."""
        while self._workers:
            self._workers.popitem()[1].bury()

    def _living(self, index: int, device: str) -> Worker:
        if worker := self._workers.get(index):
            return worker
        with self._lock:
            if self._closed:
                raise FleetClosed
            if len(self._deaths) >= MOST_DEATHS:
                raise EnvironmentFailure(
                    f"{len(self._deaths)} workers in a row died before they finished a job, the last: {self._deaths[-1]}",
                    "fewer --workers take less memory; --engine serial shows what happens in one process",
                )
            self._workers[index] = Worker(index, replace(self._spec, device=device), self._log)
            return self._workers[index]

    def _compare(self, index: int, digest: str) -> None:
        """Take note of the task that a worker has loaded.

        Raises:
            TaskError: it was another one before, though it was the same everywhere.
        """
        with self._lock:
            others = set(self._digests.values())
            mine = self._digests.setdefault(index, digest)
        if mine != digest and len(others) == 1:
            raise TaskError(
                "the task is not what it was when the search began: its file, its data or its recipe has changed",
                "what has ended is kept; put the task back, or search under another name (--as NEW)",
            )
        if others - {digest}:
            self._log(
                logging.WARNING,
                "the task is another one in every process, so that trials can hardly be compared: something in it is drawn "
                "without a seed, or holds what differs from process to process",
            )

    def _mourn(self, index: int, worker: Worker, reason: str) -> None:
        if self._closed:
            raise FleetClosed from None
        _logger.warning("%s; starting another", reason)
        if not worker.finished:
            self._deaths.append(reason)
        with self._lock:
            del self._workers[index]
        worker.bury()

    def _log(self, level: int, text: str) -> None:
        """A worker's record, in the parent's log: warnings once, though every worker gives them."""
        with self._lock:
            known = level >= logging.WARNING and text in self._told
            self._told.add(text if level >= logging.WARNING else "")
        if not known:
            _logger.log(level, "%s", text)

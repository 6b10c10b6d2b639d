"""The reference engine: one trial after the other, in this process."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.runner import make_runner
from prunesearch.errors import EnvironmentFailure
from prunesearch.results import Job, Outcome, TaskInfo

if TYPE_CHECKING:
    from prunesearch.tasks import Task
    from prunesearch.trial import TrialRunner


class SerialEngine:
    """Runs a job inside `next`, which therefore takes as long as the job, whatever its timeout.

    A job that Ctrl-C interrupts stays queued: the next `next` runs it again.

    Args:
        spec: what to run on what; `workers` is not used.
        task: a task of this process, in place of `spec.task`.
    """

    slots = 1

    def __init__(self, spec: EngineSpec, *, task: Task | None = None) -> None:
        self._spec = spec
        self._task = task
        self._runner: TrialRunner | None = None
        self._queue: deque[Job] = deque()
        self._closed = False

    def describe(self) -> TaskInfo:
        """What the task is."""
        return self._ready().describe()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        self._queue.append(job)

    def next(self, timeout: float | None = None) -> Outcome | None:  # noqa: ARG002
        """Run the oldest job and return its outcome. The timeout bounds waiting, of which there is none here.

        Raises:
            LookupError: no job was submitted that could finish.
            EnvironmentFailure: the GPU has stopped answering this process; no further job could be run in it.
        """
        if not self._queue:
            raise LookupError("no job was submitted that could finish")
        runner = self._ready()
        if runner.broken:
            raise EnvironmentFailure("the GPU does not answer this process any more", "run the same again in a new process")
        outcome = Outcome(self._queue[0], runner.run(self._queue[0]))
        self._queue.popleft()
        return outcome

    def close(self) -> None:
        """Forget queued jobs, the data and the networks."""
        self._closed = True
        self._queue.clear()
        self._runner = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ready(self) -> TrialRunner:
        if self._runner is None:
            self._runner = make_runner(replace(self._spec, workers=1), self._task)
        return self._runner

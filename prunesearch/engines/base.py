"""The engine contract: who runs trials, seen from the driver.

An engine knows the task and the machine, never the study's database. All engines give the same results for the same
job, bit for bit on the CPU with one thread; `tests/engines/contract.py` holds every one of them to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from prunesearch.errors import UsageError, did_you_mean
from prunesearch.results import NUMERICS, Job, Outcome, TaskInfo

LOSSES = 2
"""Workers that one job may cost before it counts as failed: the second death is hardly chance."""


@dataclass(frozen=True)
class EngineSpec:
    """What every engine is built from.

    Args:
        task: a built-in task's name, `file.py:function`, or `module:function`.
        epochs: overrides the recipe's epochs where given.
        seed: the study's seed; splits and initial values follow it.
        device: auto, cpu, cuda, cuda:1.
        workers: trials at a time; 0 = one per core, or `workers_per_gpu` per GPU.
        data_dir: where data sets lie, or None.
        plugins: files with criteria of the user's own.
        stages: folder in which epochs that were trained are kept for all trials; None: nothing is shared.
        stage_budget: bytes that tensors may take in it.
        numerics: how trials compute, one of `prunesearch.results.NUMERICS`.
        arrays: folder in which decoded data is kept, so that all workers hold it once; None: each decodes and holds its own.
        workers_per_gpu: trials at a time on one GPU where `workers` is 0; 0 = as many as a short measurement finds best.
        loader_workers: processes that a user's loader may start beside each worker; set where a worker starts.
        graphs: whether training steps are recorded as CUDA graphs where they can be; nothing on the CPU.
    """

    task: str
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    data_dir: str | None = None
    plugins: tuple[str, ...] = ()
    stages: str | None = None
    stage_budget: int = 2 << 30
    numerics: str = "exact"
    arrays: str | None = None
    workers_per_gpu: int = 1
    loader_workers: int = 0
    graphs: bool = False

    def __post_init__(self) -> None:
        if self.numerics not in NUMERICS:
            raise UsageError(f"numerics: '{self.numerics}' is unknown; {did_you_mean(self.numerics, NUMERICS)}")


class Engine(Protocol):
    """Runs jobs. A context manager; `close` ends all workers and is safe to call twice."""

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        ...

    def describe(self) -> TaskInfo:
        """What the task is. Raises the task's own errors (TaskError, MissingDataError) where it does not load."""
        ...

    def submit(self, job: Job) -> None:
        """Queue a job. Never blocks, whatever the number of jobs."""
        ...

    def next(self, timeout: float | None = None) -> Outcome | None:
        """The next finished job, in order of finishing, or None after `timeout` seconds (None: wait).

        Raises:
            LookupError: nothing was submitted that could finish.
        """
        ...

    def close(self) -> None:
        """Stop at once; jobs in flight are abandoned."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """`close`, whatever happened."""
        ...

"""Who runs trials: `open_engine` builds one by name, and imports only that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunesearch.engines.base import Engine, EngineSpec
from prunesearch.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from prunesearch.tasks import Task

__all__ = ["ENGINES", "Engine", "EngineSpec", "open_engine"]

ENGINES = {
    "process": "worker processes, one thread and one device each",
    "serial": "one trial after the other in this process; the reference",
    "fake": "no training: plausible numbers at once, for --dry-run and tests",
}
"""Names and one line each."""


def open_engine(kind: str, spec: EngineSpec, *, task: Task | None = None) -> Engine:
    """An engine by name. Nothing is started or loaded before it is used.

    Args:
        kind: one of `ENGINES`.
        spec: what to run on what.
        task: a task that exists only in this process, in place of `spec.task`; for `serial` alone.

    Raises:
        UsageError: an unknown name, or a task object for an engine whose workers cannot see it.
    """
    if task is not None and kind != "serial":
        raise UsageError(
            f"engine '{kind}' cannot run a Task object of this process",
            "use engine 'serial', or put make_task into a file and name it: task: my_task.py:make_task",
        )
    match kind:
        case "serial":
            from prunesearch.engines.serial import SerialEngine

            return SerialEngine(spec, task=task)
        case "process":
            from prunesearch.engines.process import ProcessEngine

            return ProcessEngine(spec)
        case "fake":
            from prunesearch.engines.fake import FakeEngine

            return FakeEngine(spec)
    raise UsageError(f"engine '{kind}' is unknown; {did_you_mean(kind, ENGINES)}")

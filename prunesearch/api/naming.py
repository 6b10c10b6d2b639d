"""What a task is called when it comes from Python: a reference that workers can load, or an object for this process."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path

from prunesearch.errors import TaskError
from prunesearch.tasks import Task

TaskLike = str | Task | Callable[[], Task]
"""A reference such as `digits-mlp` or `my_task.py:make_task`, a `Task`, or a function that makes one."""


def named(task: TaskLike) -> tuple[str, Task | None]:
    """The task's reference, and the task itself where only this process has it.

    A function of a file is referred to by that file, so that workers can load it too.

    Raises:
        TaskError: a function that returns no `Task`.
    """
    if isinstance(task, str):
        return task, None
    if isinstance(task, Task):
        return task.name or "own-task", task
    file = _file_of(task)
    if file is not None:
        return f"{file}:{task.__name__}", None
    made = task()
    if not isinstance(made, Task):
        raise TaskError(f"task: the function returned {type(made).__name__}", "it must return a prunesearch.Task")
    return made.name or "own-task", made


def _file_of(function: Callable[[], Task]) -> str | None:
    """The file in which a module-level function stands, told from the current folder; None for any other."""
    name = getattr(function, "__qualname__", "")
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        return None
    if not name.isidentifier() or file is None or not Path(file).is_file():
        return None
    near = os.path.relpath(file)
    return file if near.startswith("..") else near

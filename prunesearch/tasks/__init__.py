"""Tasks: model factory, data, training recipe and metric in one object. Importing this package imports no torch."""

from __future__ import annotations

from prunesearch.tasks.catalogue import builtin_tasks
from prunesearch.tasks.reference import load_task
from prunesearch.tasks.task import Task

__all__ = ["Task", "builtin_tasks", "load_task"]

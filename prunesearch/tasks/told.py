"""What a user's own code or data raises, in the project's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from prunesearch.errors import EnvironmentFailure, PrunesearchError, TaskError


@contextmanager
def told(where: str, hint: str = "--debug shows the traceback") -> Iterator[None]:
    """Turn whatever is raised inside into an error that begins with `where`; our own errors pass as they are.

    Args:
        where: the place, and what was tried there.
        hint: what to do about it.

    Raises:
        TaskError: anything was raised; it is the cause.
        EnvironmentFailure: memory ran out.
    """
    try:
        yield
    except PrunesearchError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as problem:
        raise EnvironmentFailure(f"{where}: out of memory: {problem}", "fewer or smaller examples need less") from problem
    except Exception as problem:
        raise TaskError(f"{where}: {type(problem).__name__}: {problem}", hint) from problem

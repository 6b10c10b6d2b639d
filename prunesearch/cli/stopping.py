"""Ctrl-C and SIGTERM, where no search is there to end in an orderly way: the command unwinds, and says so once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""What shells report for SIGINT and SIGTERM."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: whatever runs is unwound as by Ctrl-C, so that workers end and files are whole."""


def code_of(stop: KeyboardInterrupt) -> int:
    """The exit code of a command that was stopped."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` in here; outside the main thread, where Python delivers no signals, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise Terminated

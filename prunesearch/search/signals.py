"""Ctrl-C and SIGTERM as a flag that the driver looks at between two steps, so that no step is torn apart.

Only while the driver waits for an engine does a signal interrupt at once: the serial engine trains in there. A second
signal does what it would have done without us.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

REASONS = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminate"}


class Interrupted(KeyboardInterrupt):
    """A signal came while the driver waited."""


class StopFlag:
    """Whether somebody wants the search to stop, and who. A context manager that listens to signals.

    Outside the main thread, where Python delivers no signals, it listens to none and stays down.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._told) for number in REASONS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _told(self, number: int, _frame: FrameType | None) -> None:
        self.reason = REASONS[signal.Signals(number)]
        self._restore()
        if self._waiting:
            raise Interrupted

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """What runs in here ends as soon as a signal comes; `reason` says which.

        Raises:
            Interrupted: at the signal, or at once where one has come before.
        """
        self._waiting = True
        try:
            if self.reason is not None:
                raise Interrupted
            yield
        finally:
            self._waiting = False

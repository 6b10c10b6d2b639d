"""Heartbeats from a thread of their own: the driver may be busy for hours inside one trial of the serial engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from prunesearch.errors import StoreError


class Heart:
    """Beats for all trials in flight. A context manager: the thread lives as long as its block.

    Args:
        beat: records that trials are alive; a failing store is no reason to stop, for the next beat may succeed.
        seconds: between two beats.
    """

    def __init__(self, beat: Callable[[Iterable[int]], None], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._numbers: frozenset[int] = frozenset()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def of(self, numbers: Iterable[int]) -> None:
        """Beat for these trials from now on."""
        self._numbers = frozenset(numbers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self._beat(sorted(self._numbers))
            except StoreError:
                continue

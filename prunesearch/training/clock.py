"""Where a trial's seconds go."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prunesearch.results import Timings


class Clock:
    """Adds up wall time by purpose; purposes must not be nested. Starts when it is made.

    Args:
        waited: seconds waited for other processes so far; they are counted under `wait`, wherever they were spent.
    """

    def __init__(self, waited: Callable[[], float] = lambda: 0.0) -> None:
        self._waited = waited
        self._began, self._waited_before = time.perf_counter(), waited()
        self._spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, purpose: str) -> Iterator[None]:
        """Count the seconds of a block, without what was waited in it, under `purpose`, a field of `Timings`."""
        began = self.seconds
        try:
            yield
        finally:
            self._spent[purpose] += self.seconds - began

    @property
    def seconds(self) -> float:
        """Wall time since the start, without what was waited."""
        return time.perf_counter() - self._began - (self._waited() - self._waited_before)

    def timings(self) -> Timings:
        """All purposes; `other` is what is left of the wall time, so that they add up to it."""
        left = max(0.0, self.seconds - sum(self._spent.values()))
        return Timings(**self._spent, wait=self._waited() - self._waited_before, other=left)

"""Where a trial's seconds go."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from prunesearch.results import Timings


class Clock:
    """Adds up wall time by purpose; purposes must not be nested. Starts when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, purpose: str) -> Iterator[None]:
        """Count the seconds of a block under `purpose`, a field of `Timings`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[purpose] += time.perf_counter() - began

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count `seconds` of `source` under `target`: what was waited within a block."""
        moved = min(seconds, self._spent[source])
        self._spent[source] -= moved
        self._spent[target] += moved

    @property
    def seconds(self) -> float:
        """Wall time since the start, without what was waited."""
        return time.perf_counter() - self._began - self._spent["wait"]

    def timings(self) -> Timings:
        """All purposes; `other` is what is left of the wall time, so that they add up to it."""
        total, known = time.perf_counter() - self._began, dict(self._spent)
        return Timings(**known, other=max(0.0, total - sum(known.values())))

"""Where a trial's seconds go."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from prunesearch.results import Timings

Waits = Mapping[str, Callable[[], float]]


class Clock:
    """Adds up wall time by purpose; purposes must not be nested. Starts when it is made.

    Args:
        waits: purpose -> seconds waited for other processes so far; they count under that purpose, wherever they were spent.
        clock: seconds.
    """

    def __init__(self, waits: Waits = MappingProxyType({}), clock: Callable[[], float] = time.perf_counter) -> None:
        self._waits, self._clock = waits, clock
        self._began, self._before = clock(), self._waited()
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
        return self._clock() - self._began - sum(self._since().values())

    def timings(self) -> Timings:
        """All purposes; `other` is what is left of the wall time, so that they add up to it."""
        spent = dict(self._spent)
        left = max(0.0, self.seconds - sum(spent.values()))
        for purpose, waited in self._since().items():
            spent[purpose] = spent.get(purpose, 0.0) + waited
        return Timings(**spent, other=left)

    def _waited(self) -> dict[str, float]:
        return {purpose: seconds() for purpose, seconds in self._waits.items()}

    def _since(self) -> dict[str, float]:
        return {purpose: waited - self._before[purpose] for purpose, waited in self._waited().items()}

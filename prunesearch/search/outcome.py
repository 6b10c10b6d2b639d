"""What a search hands back, and where its time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from prunesearch.errors import EnvironmentFailure, InfeasibleError, PrunesearchError
from prunesearch.front import Front
from prunesearch.results import DenseReference, Timings
from prunesearch.store import ENDED, TrialRecord


@dataclass(frozen=True)
class SearchOutcome:
    """The end of one call of `run_search`.

    Args:
        study: its name.
        total: trials that it shall have.
        done: trials finished.
        stopped: None when all is done; else `timeout`, `interrupt`, `terminate` or `exhausted` (the space holds no more
            policies).
        front: of all trials of the study.
        dense: the dense reference, None where the search was stopped before it was known.
        seconds: wall time of this call.
        overhead: share of the slots' time spent neither in training nor in evaluation; None when nothing ran.
        spent: seconds by what they were spent on: of the driver (`ask`, `store`, `wait`), and summed over trials.
    """

    study: str
    total: int
    done: int
    stopped: str | None
    front: Front
    dense: DenseReference | None
    seconds: float
    overhead: float | None = None
    spent: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Adds up seconds by what they were spent on.

    Args:
        clock: seconds from any start.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._began = clock()
        self._dense = 0.0
        self.spent: dict[str, float] = {}

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Add the time of a block."""
        began = self._clock()
        try:
            yield
        finally:
            self._add(what, self._clock() - began)

    def trial(self, timings: Timings) -> None:
        """Add what one trial spent."""
        for name in ("train", "validate", "select", "cut", "latency", "wait", "other"):
            self._add(f"trial_{name}", getattr(timings, name))

    def dense(self, seconds: float) -> None:
        """Note how long the dense reference took: other slots had to wait for it."""
        self._dense += seconds

    def _add(self, what: str, seconds: float) -> None:
        self.spent[what] = self.spent.get(what, 0.0) + seconds

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return self._clock() - self._began

    def overhead(self, slots: int) -> float | None:
        """Share of the time that `slots` trials at a time had, spent neither in training nor in evaluation.

        Evaluation is the validation and the latency measurement. While the dense reference runs there is one slot.
        """
        useful = sum(self.spent.get(f"trial_{name}", 0.0) for name in ("train", "validate", "latency"))
        had = self._dense + (self.seconds - self._dense) * slots
        return None if useful == 0.0 or had <= 0.0 else max(0.0, 1.0 - useful / had)


def nothing_feasible(study: str, records: Sequence[TrialRecord]) -> PrunesearchError | None:
    """The error of a study whose trials are all of no use, with the most frequent reason; None where one is feasible.

    Trials that measured something and broke a constraint or guard make it an InfeasibleError, else nothing ever ran:
    an EnvironmentFailure.
    """
    ended = [r for r in records if r.state in ENDED]
    if not ended or any(r.feasible for r in ended):
        return None
    measured = [r for r in ended if r.state != "failed"]
    reason, count = _most_frequent(measured or ended)
    if measured:
        text = f"study '{study}': none of {len(ended)} trials is feasible; most often ({count}): {reason}"
        return InfeasibleError(text, "loosen the constraints, widen the space, or search on with --more")
    text = f"study '{study}': all {len(ended)} trials failed; most often ({count}): {reason}"
    return EnvironmentFailure(text, f"'prunesearch show {study} --trial {ended[0].number} --debug' shows the traceback")


def _most_frequent(records: Iterable[TrialRecord]) -> tuple[str, int]:
    return Counter(r.reason or "no reason was given" for r in records).most_common(1)[0]

"""What a search hands back, and where its time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Self

from prunesearch.engines.base import Engine
from prunesearch.errors import EnvironmentFailure, InfeasibleError, PrunesearchError
from prunesearch.front import Front
from prunesearch.results import DenseReference, Outcome, Timings
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
        spent: seconds by what they were spent on: of the driver (`ask`, `store`, `wait`), and summed over jobs, the dense
            reference's included (`trial_train`, `trial_validate`, ...).
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
        """Add what one job spent."""
        for name in ("train", "validate", "select", "cut", "latency", "wait", "other"):
            self._add(f"trial_{name}", getattr(timings, name))

    def _add(self, what: str, seconds: float) -> None:
        self.spent[what] = self.spent.get(what, 0.0) + seconds

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return self._clock() - self._began

    def overhead(self, slots: int) -> float | None:
        """Share of the time that `slots` jobs at a time had, spent neither in training nor in evaluation.

        Evaluation is the validation and the latency measurement, for which the other slots make way. The rest is start-up,
        waiting for epochs that others train, proposals, the store, and slots that stand empty, as they do while the last
        trials end.
        """
        useful = sum(self.spent.get(f"trial_{name}", 0.0) for name in ("train", "validate", "latency"))
        had = self.seconds * slots
        return None if useful == 0.0 or had <= 0.0 else max(0.0, 1.0 - useful / had)


class Counted:
    """An engine whose jobs' times are added up, whoever asked for them: trials, the dense reference, what is trained ahead.

    Args:
        engine: who runs them.
        watch: adds up.
    """

    def __init__(self, engine: Engine, watch: Stopwatch) -> None:
        self._engine, self._watch = engine, watch
        self.describe, self.submit, self.close = engine.describe, engine.submit, engine.close

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return self._engine.slots

    def next(self, timeout: float | None = None) -> Outcome | None:
        """The next finished job, as the engine tells it."""
        outcome = self._engine.next(timeout)
        if outcome is not None and outcome.result is not None:
            self._watch.trial(outcome.result.timings)
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


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

"""From a result to the tables: judged, written, told to the sampler, and seen on the front."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prunesearch.front import FrontRow
from prunesearch.policy import Policy
from prunesearch.results import DenseReference, Result
from prunesearch.search import events
from prunesearch.search.events import Listener
from prunesearch.search.fronts import Change, Growing, Keep, prune_folders
from prunesearch.search.judge import Verdict, judge
from prunesearch.search.memory import Memory
from prunesearch.search.outbox import Letter, Outbox
from prunesearch.search.outcome import Stopwatch
from prunesearch.search.planner import Latencies, Planner
from prunesearch.search.sampler import make_sampler, sampler_seed
from prunesearch.spec import StudySpec
from prunesearch.store import ENDED, Store, TrialRecord


@dataclass(frozen=True)
class Study:
    """One open study and what is needed to write to it.

    Args:
        spec: its resolved definition.
        made: when it was stored.
        store: our tables.
        memory: Optuna's.
        outbox: patience with both.
        dense: the dense reference.
        emit: the listener.
        watch: adds up where time goes.
    """

    spec: StudySpec
    made: str
    store: Store
    memory: Memory
    outbox: Outbox
    dense: DenseReference
    emit: Listener
    watch: Stopwatch

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name


class Recorder:
    """Writes results, and knows what follows from them: latencies that are shared, the front, folders to keep.

    Args:
        study: the study.
        planner: settles latencies.
        growing: the front.
        folder: where pruned networks are kept, or None.
        keep: which of them stay.
    """

    def __init__(self, study: Study, planner: Planner, growing: Growing, folder: Path | None, keep: Keep) -> None:
        self._study = study
        self._planner = planner
        self._growing = growing
        self._folder = folder if keep == "front" else None
        self._ended: set[int] = set()
        self._mine: set[int] = set()
        self.latencies = Latencies.of(study.dense)

    @property
    def done(self) -> int:
        """Trials of the study that have a result, as far as is known."""
        return len(self._ended)

    def load(self, records: Iterable[TrialRecord]) -> None:
        """Take note of all that is in the store, in the order in which it was measured."""
        ended = [r for r in records if r.state in ENDED]
        for record in sorted(ended, key=lambda r: (r.finished_at or "", r.number)):
            self.latencies = self.latencies.learn(record.signature, record.measures)
        self._ended = {r.number for r in ended}
        self._growing.add(ended)

    def record(self, number: int, ticket: int, policy: Policy, result: Result) -> None:
        """Write a result and all that follows from it.

        Raises:
            StoreError: the database stayed away; the result is in a file.
        """
        with self._study.watch.timing("store"):
            verdict = self._write(number, policy, result)
            if verdict is None:
                self._study.emit(events.Warned(f"trial {number} had a result already; the second one is dropped"))
                return
            self._study.outbox.patiently(lambda: self.tell(number, ticket, verdict))
        self._mine.add(number)
        self._ended.add(number)
        if verdict.feasible and verdict.result.measures is not None:
            self._growing.put(FrontRow(number, verdict.result.measures, policy, policy.digest, self._study.spec.seed))
        self._emit(number, policy, verdict)
        self.refresh(number)

    def _write(self, number: int, policy: Policy, result: Result) -> Verdict | None:
        """Settle, judge and write a result, anew where another driver was quicker; None where the trial has another already."""
        while True:
            settled, latencies = self._planner.settle(result, self.latencies)
            verdict = self._judged(settled)
            if self._send(self.letter(number, policy, verdict)):
                self.latencies = latencies
                return verdict
            if not self._study.outbox.patiently(self._catch_up):
                return verdict if self._stored(number, verdict.result) else None

    def _stored(self, number: int, result: Result) -> bool:
        """Whether the store has just this result: it was written, and the database went away before it said so."""
        record = self._study.outbox.patiently(lambda: self._study.store.trial(self._study.name, number))
        return record.result is not None and (record.state, record.measures) == (result.state, result.measures)

    def _catch_up(self) -> bool:
        """Take note of what other drivers have added; whether they have."""
        store, name = self._study.store, self._study.name
        news = store.ended(name) != self.done
        if news:
            self.load(store.trials(name, *ENDED))
        return news

    def _judged(self, result: Result) -> Verdict:
        spec = self._study.spec
        return judge(result, spec.objectives, spec.constraints, self._study.dense.measures)

    def _send(self, letter: Letter) -> bool:
        written: list[bool] = []
        self._study.outbox.send(letter, lambda letter: written.append(deliver(self._study.store, letter, of=self.done)))
        return written[-1]

    def letter(self, number: int, policy: Policy, verdict: Verdict) -> Letter:
        """What is written about a trial."""
        study, violations = self._study, dict(verdict.violations)
        return Letter(study.name, number, study.made, policy.digest, verdict.result, violations, verdict.feasible)

    def keep(self, number: int, policy: Policy, result: Result) -> None:
        """Put a result into a file, for a database that is away."""
        settled, self.latencies = self._planner.settle(result, self.latencies)
        self._study.outbox.keep(self.letter(number, policy, self._judged(settled)))

    def tell(self, number: int, ticket: int, verdict: Verdict) -> None:
        """Tell the sampler."""
        if verdict.values is None:
            self._study.memory.fail(number)
            return
        spec = self._study.spec
        sampler = make_sampler(spec.sampler, sampler_seed(spec.seed, ticket, 0))
        self._study.memory.tell(number, verdict.values, verdict.told, sampler)

    def tell_again(self, number: int, ticket: int, record: TrialRecord) -> None:
        """Tell the sampler what is in the store."""
        result = record.result
        if result is None:
            self._study.memory.fail(number)
        else:
            self.tell(number, ticket, self._judged(result))

    def _emit(self, number: int, policy: Policy, verdict: Verdict) -> None:
        done, total, result = self.done, self._study.spec.trials, verdict.result
        if result.state == "failed":
            self._study.emit(events.TrialFailed(number, policy, result.reason or "no reason was given", done, total))
            return
        violations = dict(verdict.violations)
        self._study.emit(events.TrialFinished(number, policy, result, verdict.feasible, violations, done, total))

    def refresh(self, after: int) -> None:
        """See what is new in the store, other drivers' trials included, and record the front if it has changed."""
        with self._study.watch.timing("store"):
            change = self._study.outbox.patiently(lambda: self._record_front(after))
        if change is not None:
            self._study.emit(events.FrontChanged(after, change.members, change.hypervolume))
        if self._folder is not None:
            prune_folders(self._folder, self._mine, self._growing.members)

    def _record_front(self, after: int) -> Change | None:
        """Record the front of all results, if it has changed; looked at again where another driver was quicker."""
        store, name = self._study.store, self._study.name
        while True:
            self._catch_up()
            change = self._growing.change()
            if change is None:
                return None
            if store.record_front(name, after, change.members, change.hypervolume, of=self.done):
                self._growing.settle(change)
                return change


def deliver(store: Store, letter: Letter, *, of: int | None = None) -> bool:
    """Write a result into the store; False where it was not: see `Store.record_result`."""
    return store.record_result(letter.study, letter.number, letter.result, letter.violations, letter.feasible, of=of)

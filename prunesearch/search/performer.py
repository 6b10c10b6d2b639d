"""Performs what `decide` decides: each action on the store, the sampler and the engine, one method each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from optuna.samplers import BaseSampler, RandomSampler

from prunesearch.engines.base import Engine
from prunesearch.errors import StoreError
from prunesearch.policy import Policy
from prunesearch.results import Outcome, Result
from prunesearch.search import events
from prunesearch.search import steps as d
from prunesearch.search.ledger import Reconciled
from prunesearch.search.owners import RELEASED
from prunesearch.search.planner import Planner
from prunesearch.search.recorder import Recorder, Study
from prunesearch.search.sampler import exactly, make_sampler, sampler_seed
from prunesearch.search.space import Located, SearchSpace

T = TypeVar("T")

_logger = logging.getLogger("prunesearch.search")


@dataclass(frozen=True)
class Held:
    """A trial of this driver: its ticket and policy; `started` once our tables hold it."""

    ticket: int
    policy: Policy
    started: bool = False


class Performer:
    """Does what is decided, and answers with what came of it.

    Args:
        study: the open study.
        space: what is searched.
        starts: policies that are tried first.
        engine: who runs trials.
        planner: makes jobs.
        recorder: writes results.
        owner: who drives.
        found: trials that are to be run again.
    """

    def __init__(
        self,
        study: Study,
        space: SearchSpace,
        starts: Sequence[Located],
        engine: Engine,
        planner: Planner,
        recorder: Recorder,
        owner: str,
        found: Reconciled,
    ) -> None:
        self._study, self._space, self._starts = study, space, starts
        self._engine, self._planner, self._recorder, self._owner = engine, planner, recorder, owner
        self._tickets = {t.number: t for t in found.tickets.values()}
        self._trials = {n: Held(found.tickets[n].number, r.policy, started=True) for n, r in found.redo.items()}
        self._results: dict[int, Result] = {}
        self._lost: dict[int, Result] = {}

    def perform(self, action: d.Action) -> d.Event | None:
        """Do one thing; the event that it led to, if any.

        Raises:
            StoreError: the database stayed away.
        """
        match action:
            case d.Take():
                return self._take()
            case d.Ask(ticket, attempt, random):
                return self._ask(ticket, attempt, random=random)
            case d.Start(ticket, number):
                return self._start(ticket, number)
        self._finish(action)
        return None

    def _finish(self, action: d.Action) -> None:
        """The actions that need no answer."""
        match action:
            case d.Rerun(number):
                self._submit(number, again=True)
            case d.Reuse(ticket, number, of):
                self._reuse(ticket, number, of)
            case d.Record(number):
                self._record(number, self._results.pop(number))
            case d.GiveUp(number):
                self._record(number, self._lost[number])
            case d.Release(_, number) if number in self._results:  # gathered since the last wait
                self._record(number, self._results.pop(number))
            case d.Release(ticket, number):
                self._release(ticket, number)
            case d.Return(ticket):
                self._return(ticket)
            case d.Abandon(ticket, number):
                self._abandon(ticket, number)

    def receive(self, outcome: Outcome) -> d.Event | None:
        """The event that an engine's outcome is; None for a trial that is not held any more."""
        number = outcome.job.number
        if number not in self._trials:
            return None
        if outcome.result is None:
            self._lost[number] = outcome.final
            self._study.emit(events.Warned(f"trial {number}: {outcome.final.reason}"))
            return d.Lost(number)
        self._results[number] = outcome.result
        return d.Finished(number)

    def let_go(self) -> None:
        """Leave everything as somebody else, or the same command later, can go on with it."""
        self.gather()
        for number, result in self._results.items():
            with suppress(OSError):
                self._recorder.keep(number, self._trials[number].policy, result)
        for number, held in list(self._trials.items()):
            with suppress(StoreError):
                self._release(held.ticket, number) if held.started else self._abandon(held.ticket, number)
        for ticket in list(self._tickets):
            with suppress(StoreError):
                self._return(ticket)

    def gather(self) -> None:
        """Take what the engine has finished already, before it is let go. An engine of one slot would begin to train instead.

        What goes wrong with one job, in a worker that does not start for one, is no reason to lose the others' results.
        """
        while self._engine.slots > 1 and self._trials:
            try:
                outcome = self._engine.next(timeout=0)
            except LookupError:
                return
            except Exception as error:  # noqa: BLE001 - the search ends already, for this or for another reason
                _logger.debug("nothing came of a job: %s", error)
                continue
            if outcome is None:
                return
            self.receive(outcome)

    def _patiently(self, call: Callable[[], T]) -> T:
        return self._study.outbox.patiently(call)

    def _take(self) -> d.Event:
        take, memory = self._study.store.take_ticket, self._study.memory
        ticket = self._patiently(lambda: take(self._study.name, self._study.spec.trials, self._owner))
        if ticket is None:
            return d.Dry()
        self._tickets[ticket.number] = ticket
        return d.Granted(ticket.number, self._patiently(lambda: memory.duplicates(ticket.number)))

    def _ask(self, ticket: int, attempt: int, *, random: bool) -> d.Event:
        with self._study.watch.timing("ask"):
            sampler = self._sampler(ticket, attempt, random=random)
            asked = self._patiently(lambda: self._study.memory.ask(self._space, sampler))
            self._trials[asked.number] = Held(ticket, asked.policy)
            return d.Proposed(asked.number, self._known(asked.number, asked.policy))

    def _sampler(self, ticket: int, attempt: int, *, random: bool) -> BaseSampler:
        seed = sampler_seed(self._study.spec.seed, ticket, attempt)
        if random:
            return RandomSampler(seed=seed)
        sampler = make_sampler(self._study.spec.sampler, seed)
        first = self._untried(ticket) if attempt == 0 else None
        return sampler if first is None else exactly(first.params, sampler)

    def _untried(self, ticket: int) -> Located | None:
        """The start policy of this ticket, else the first that nobody has tried."""
        if not self._starts:
            return None
        tried = {r.digest for r in self._patiently(lambda: self._study.store.trials(self._study.name)) if r.state != "lost"}
        left = {i: located for i, located in enumerate(self._starts) if located.policy.digest not in tried}
        if not left:
            self._starts = ()
            return None
        return left.get(ticket, next(iter(left.values())))

    def _known(self, number: int, policy: Policy) -> int | None:
        """The trial that has run a policy already, or that this driver runs now."""
        digest = policy.digest
        for other, held in self._trials.items():
            if other != number and held.policy.digest == digest:
                return other
        find, spec = self._study.store.find_result, self._study.spec
        found = self._patiently(lambda: find(spec.name, digest, spec.seed))
        return None if found is None else found.number

    def _start(self, ticket: int, number: int) -> d.Event | None:
        held, store, spec = self._trials[number], self._study.store, self._study.spec
        holding = self._tickets[ticket]
        with self._study.watch.timing("store"):
            if not self._patiently(lambda: store.bind_ticket(holding, number)):
                self._forget(number)
                self._tickets.pop(ticket)
                return d.Refused(number)
            digest = held.policy.digest
            self._patiently(lambda: store.start_trial(spec.name, number, holding, held.policy, digest, spec.seed))
        self._trials[number] = Held(ticket, held.policy, started=True)
        self._submit(number)
        return None

    def _submit(self, number: int, *, again: bool = False) -> None:
        held = self._trials[number]
        self._engine.submit(self._planner.job(number, held.policy, self._recorder.latencies))
        self._study.emit(events.TrialStarted(number, held.ticket, held.policy, again))

    def _reuse(self, ticket: int, number: int, of: int) -> None:
        memory, name = self._study.memory, self._study.name
        self._patiently(lambda: memory.note_duplicate(number, of, ticket))
        if of in self._trials:
            self._forget(number)
        else:
            record = self._patiently(lambda: self._study.store.trial(name, of))
            self._patiently(lambda: self._recorder.tell_again(number, ticket, record))
            self._trials.pop(number)
        self._study.emit(events.Duplicate(number, of, ticket))

    def _record(self, number: int, result: Result) -> None:
        held = self._trials[number]
        self._results[number] = result
        self._recorder.record(number, held.ticket, held.policy, self._results[number])
        del self._results[number], self._trials[number]
        self._tickets.pop(held.ticket)

    def _release(self, ticket: int, number: int) -> None:
        self._study.store.adopt_ticket(self._tickets[ticket], RELEASED)
        self._trials.pop(number, None)
        self._tickets.pop(ticket)

    def _return(self, ticket: int) -> None:
        self._study.store.return_ticket(self._tickets[ticket])
        self._tickets.pop(ticket)

    def _abandon(self, ticket: int, number: int) -> None:
        self._forget(number)
        self._return(ticket)

    def _forget(self, number: int) -> None:
        self._study.memory.fail(number)
        self._trials.pop(number, None)

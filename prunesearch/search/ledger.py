"""The ledger: which driver holds which ticket, and setting things right when a driver starts.

An interrupted or killed driver leaves tickets taken, trials running, Optuna trials half-suggested, or results that were
written and not told. `reconcile` finds out whose driver is dead and mends all of it, so that no ticket is lost or
counted twice. What it says about a study is decided by `assess`, a pure function of what the tables hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from prunesearch.search.memory import Memory
from prunesearch.search.owners import Life, life_of
from prunesearch.store import ENDED, Store, Ticket, TrialRecord


@dataclass(frozen=True)
class Findings:
    """What the tables hold when a driver starts.

    Args:
        tickets: all tickets of the study.
        started: numbers of the trials that run according to our tables.
        finished: numbers of the trials that have a result in our tables.
        asked: numbers of the trials that run according to Optuna.
        failed: numbers of the trials that Optuna holds as failed, stale ones included.
        quiet: whether nothing was written for the study for longer than a heartbeat may be missing.
    """

    tickets: Sequence[Ticket]
    started: Collection[int] = ()
    finished: Collection[int] = ()
    asked: Collection[int] = ()
    failed: Collection[int] = ()
    quiet: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is to be done about it.

    Args:
        redo: tickets whose trial is run again under its own number.
        give_back: tickets whose driver died before there was a trial.
        lose: trials of other hosts whose heartbeat has stopped; their tickets are handed out again.
        tell: trials that have a result which Optuna was not told.
        forget: trials that Optuna holds and that were never started: half-suggested.
    """

    redo: tuple[Ticket, ...] = ()
    give_back: tuple[Ticket, ...] = ()
    lose: tuple[int, ...] = ()
    tell: tuple[int, ...] = ()
    forget: tuple[int, ...] = ()


def assess(found: Findings, life: Callable[[str | None], Life]) -> Verdict:
    """Sort out what a dead driver left. Pure, but for what `life` says about an owner."""
    lives = {t.owner: life(t.owner) for t in found.tickets if t.state == "taken"}
    taken = [t for t in found.tickets if t.state == "taken"]
    left = [t for t in taken if lives[t.owner] == "dead" or (lives[t.owner] == "unknown" and _gone(t, taken, found))]
    redo = tuple(t for t in left if t.trial in found.started and t.trial not in found.failed)
    bound = {t.trial for t in taken}
    orphans = [n for n in found.started if n not in bound]
    stale = [t.trial for t in left if t.trial in found.started and t.trial in found.failed]
    alone = all(t in left for t in taken)
    return Verdict(
        redo=redo,
        give_back=tuple(t for t in left if t.trial not in found.started),
        lose=tuple(sorted({*orphans, *(n for n in stale if n is not None)})),
        tell=tuple(sorted(n for n in found.asked if n in found.finished)),
        forget=tuple(sorted(n for n in found.asked if n not in found.finished and n not in found.started)) if alone else (),
    )


def _gone(ticket: Ticket, taken: Sequence[Ticket], found: Findings) -> bool:
    """Whether the driver of another host is gone: its trial's heartbeat has stopped, or it has none and all is quiet."""
    if ticket.trial in found.started:
        return ticket.trial in found.failed
    beating = any(t.owner == ticket.owner and t.trial in found.asked for t in taken)
    return found.quiet and not beating


@dataclass(frozen=True)
class Reconciled:
    """The study as a driver finds it after mending: trials to run again, number -> ticket and record, and what to tell."""

    tickets: Mapping[int, Ticket] = field(default_factory=dict)
    redo: Mapping[int, TrialRecord] = field(default_factory=dict)
    tell: tuple[TrialRecord, ...] = ()
    notes: tuple[str, ...] = ()


def reconcile(store: Store, memory: Memory, study: str, owner: str, *, quiet: bool) -> Reconciled:
    """Mend what earlier drivers left, and take over what they had not finished.

    Args:
        store: our tables.
        memory: Optuna's.
        study: its name.
        owner: who takes over.
        quiet: see `Findings`.
    """
    _keep_alive(store, memory, study)
    memory.fail_stale()
    asked = memory.unfinished()  # before the tickets: a driver takes its ticket before it asks
    tickets, trials = store.tickets_and_trials(study)
    records = {r.number: r for r in trials}
    verdict = assess(_findings(memory, asked, tickets, records, quiet=quiet), life_of)
    for number in verdict.lose:
        store.lose_trial(study, number, "its driver died")
    for number in (*verdict.forget, *verdict.lose):
        memory.fail(number)
    for ticket in verdict.give_back:
        store.return_ticket(ticket)
    mine = {t.trial: t for t in verdict.redo if t.trial is not None and store.adopt_ticket(t, owner)}
    return Reconciled(
        tickets={number: Ticket(t.id, t.number, "taken", owner, number) for number, t in mine.items()},
        redo={number: records[number] for number in mine},
        tell=tuple(records[number] for number in verdict.tell),
        notes=_notes(verdict, len(mine)),
    )


def _keep_alive(store: Store, memory: Memory, study: str) -> None:
    """A heartbeat for what must not be given up as stale.

    That are this host's trials: of drivers that are dead, which are run again, and of those that live, whose computer may have
    slept. And those with a result, which are to be told.
    """
    started = {r.number for r in store.running(study)}
    taken = [t for t in store.tickets(study) if t.state == "taken" and life_of(t.owner) != "unknown"]
    left = {t.trial for t in taken if t.trial is not None and t.trial in started}
    written = {r.number for r in store.trials(study, *ENDED)}
    memory.beat(n for n in memory.unfinished() if n in left | written)


def _findings(
    memory: Memory, asked: Sequence[int], tickets: Sequence[Ticket], records: Mapping[int, TrialRecord], *, quiet: bool
) -> Findings:
    return Findings(
        tickets=tickets,
        started=frozenset(n for n, r in records.items() if r.state == "running"),
        finished=frozenset(n for n, r in records.items() if r.state in ENDED),
        asked=asked,
        failed=memory.failed(),
        quiet=quiet,
    )


def _notes(verdict: Verdict, redone: int) -> tuple[str, ...]:
    told = {
        f"{redone} unfinished trial(s) of an earlier run are run again": redone,
        f"{len(verdict.lose)} trial(s) of drivers that died are given up, and others asked for instead": len(verdict.lose),
    }
    return tuple(text for text, count in told.items() if count)

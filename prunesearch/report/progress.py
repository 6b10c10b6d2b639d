"""Where a search stands, gathered from its events: what the live display and the plain lines both tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prunesearch.front import Front
from prunesearch.report.findings import within_a_point
from prunesearch.report.words import duration, number, percent, policy_words, times
from prunesearch.results import Measures
from prunesearch.search.events import (
    DenseDone,
    DenseStarted,
    Event,
    FrontChanged,
    Remeasured,
    Remeasuring,
    SearchEnded,
    SearchStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    Warned,
)

News = Event | Front
"""What a search tells: its events, and at the beginning the front that the study has already."""


@dataclass(frozen=True)
class Progress:
    """The figures of a running search. `after(event, now)` gives the next state; nothing is changed.

    Args:
        study: its name.
        total: trials that it shall have.
        done: trials finished, earlier ones included.
        before: trials that were finished when this call began.
        running: trials that run now.
        failed: trials of this call that failed.
        infeasible: trials of this call that broke a constraint or guard.
        epochs: epochs of the trials of this call.
        saved: epochs of them that were not trained, because a stage or a result was known.
        front: trials on the front.
        hypervolume: share of the dense network's box that they dominate.
        dense: the dense network's figures.
        known: figures of feasible trials.
        maximize: whether more of the metric is better.
        began: when the first trial of this call was started, in seconds of any clock.
        ended: how it ended, None while it runs.
    """

    study: str = ""
    total: int = 0
    done: int = 0
    before: int = 0
    running: frozenset[int] = frozenset()
    failed: int = 0
    infeasible: int = 0
    epochs: int = 0
    saved: int = 0
    front: tuple[int, ...] = ()
    hypervolume: float | None = None
    dense: Measures | None = None
    known: Mapping[int, Measures] = field(default_factory=dict)
    maximize: bool = True
    began: float | None = None
    ended: SearchEnded | None = None

    def after(self, event: News, now: float) -> Progress:
        """The state after an event that came at `now`."""
        match event:
            case Front():
                known = {row.trial: row.measures for row in event}
                return replace(self, front=event.trials, hypervolume=event.recorded, known=known, dense=event.dense)
            case SearchStarted():
                up = event.info.direction == "maximize"
                return replace(self, study=event.study, total=event.total, done=event.done, before=event.done, maximize=up)
            case DenseDone():
                return replace(self, dense=event.dense.measures)
            case TrialStarted():
                return replace(self, running=self.running | {event.number}, began=now if self.began is None else self.began)
            case TrialFinished():
                return self._finished(event)
            case TrialFailed():
                return replace(self._ended(event.number, event.done), failed=self.failed + 1)
            case FrontChanged():
                return replace(self, front=event.members, hypervolume=event.hypervolume)
            case SearchEnded():
                return replace(self, ended=event, done=event.done, total=event.total)
        return self

    def left(self, now: float) -> float | None:
        """Seconds until all trials are done, at the pace of this call; None before the first one is."""
        mine = self.done - self.before
        if self.began is None or mine <= 0:
            return None
        return (now - self.began) / mine * (self.total - self.done)

    @property
    def best(self) -> float | None:
        """The best metric on the front."""
        found = [self.known[n].accuracy for n in self.front if n in self.known]
        return (max(found) if self.maximize else min(found)) if found else None

    @property
    def smallest(self) -> int | None:
        """Fewest parameters on the front within one point of dense."""
        if self.dense is None:
            return None
        dense, maximize = self.dense.accuracy, self.maximize
        on_front = [self.known[n] for n in self.front if n in self.known]
        return min((m.params for m in on_front if within_a_point(m.accuracy, dense, maximize=maximize)), default=None)

    def figures(self) -> dict[str, str]:
        """What the display shows, by title; figures that are not there yet are left out."""
        shown = {"running": str(len(self.running)), "failed": str(self.failed), "infeasible": str(self.infeasible)}
        if self.saved:
            shown["epochs saved"] = number(self.saved)
        if self.front:
            shown["front"] = str(len(self.front))
        if self.best is not None and self.dense is not None:
            shown["best"] = f"{number(self.best)} (dense {number(self.dense.accuracy)})"
        if self.smallest is not None and self.dense is not None:
            fewer = times(self.dense.params / max(1, self.smallest))
            shown["smallest within a point"] = f"{number(self.smallest)} ({fewer} fewer)"
        if self.hypervolume is not None:
            shown["hypervolume"] = f"{self.hypervolume:.4f}"
        return shown

    def _finished(self, event: TrialFinished) -> Progress:
        saved = max(0, event.policy.epochs - event.result.epochs_trained)
        epochs = self.epochs + event.policy.epochs
        state = replace(self._ended(event.number, event.done), epochs=epochs, saved=self.saved + saved)
        if event.feasible and event.result.measures:
            return replace(state, known={**self.known, event.number: event.result.measures})
        return replace(state, infeasible=self.infeasible + 1)

    def _ended(self, trial: int, done: int) -> Progress:
        return replace(self, running=self.running - {trial}, done=max(done, self.done))


def line_of(event: News, state: Progress) -> str | None:
    """One line about an event, for a pipe; None for what needs no line. `state` is that after the event."""
    match event:
        case SearchStarted():
            how = f"goes on with {event.done} of" if event.resumed else "starts:"
            return f"{event.study} {how} {event.total} trials, {event.slots} at a time, on {event.info.device}"
        case DenseStarted():
            return "training the dense network"
        case DenseDone():
            told = f"dense: {number(event.dense.measures.accuracy)}, {number(event.dense.measures.params)} parameters"
            return f"{told}, trained in {duration(event.seconds)}" if event.measured else told
        case TrialFinished():
            return f"{_count(state)} trial {event.number}: {_figures(event)}: {policy_words(event.policy)}"
        case TrialFailed():
            return f"{_count(state)} trial {event.number} failed: {event.reason}"
        case FrontChanged():
            volume = "" if event.hypervolume is None else f", hypervolume {event.hypervolume:.4f}"
            return f"{_count(state)} front: {len(event.members)}{volume}"
        case Remeasuring():
            return f"the front, {event.count} networks with the dense one, once more in exact numerics"
        case Remeasured():
            return f"[{event.done}/{event.total}] exact {_again(event)}"
        case Warned():
            return f"warning: {event.text}" + (f" ({event.hint})" if event.hint else "")
    return None


def _count(state: Progress) -> str:
    return f"[{state.done:>{len(str(state.total))}}/{state.total}]"


def _again(event: Remeasured) -> str:
    return f"{'dense' if event.number is None else f'trial {event.number}'}: {_figures(event)}"


def _figures(event: TrialFinished | Remeasured) -> str:
    m = event.result.measures
    if m is None:
        return event.result.reason or event.result.state
    latency = "" if m.latency_ms is None else f", {number(m.latency_ms)} ms"
    usable = "" if event.feasible else f", not feasible ({event.result.reason})"
    return f"{number(m.accuracy)}, {number(m.params)} parameters ({percent(m.sparsity)} gone){latency}{usable}"

"""The words between the driver and `decide`: events say what happened, actions what to do. Plain data.

Tickets are meant by their number, trials by theirs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Begin:
    """The study is open and reconciled; start with what is in the state."""


@dataclass(frozen=True)
class Granted:
    """A ticket was handed out; `attempts` duplicates were answered under it before."""

    ticket: int
    attempts: int = 0


@dataclass(frozen=True)
class Dry:
    """All tickets are handed out."""


@dataclass(frozen=True)
class Proposed:
    """A policy was proposed as trial `number`; `known` is the trial that has run it already, or runs it now."""

    number: int
    known: int | None = None


@dataclass(frozen=True)
class Refused:
    """A trial cannot be run: its ticket is somebody else's by now, or it has its result."""

    number: int


@dataclass(frozen=True)
class Finished:
    """The engine has a result."""

    number: int


@dataclass(frozen=True)
class Lost:
    """The worker died before there was a result."""

    number: int


@dataclass(frozen=True)
class Stop:
    """No more trials: `timeout` lets those in flight end, `interrupt` and `terminate` do not."""

    reason: str


Event = Begin | Granted | Dry | Proposed | Refused | Finished | Lost | Stop


@dataclass(frozen=True)
class Take:
    """Take a ticket."""


@dataclass(frozen=True)
class Ask:
    """Ask for a policy under a ticket, the `attempt`-th time; `random`: drawn from the whole space."""

    ticket: int
    attempt: int
    random: bool


@dataclass(frozen=True)
class Start:
    """Bind the trial to its ticket, and hand it to the engine."""

    ticket: int
    number: int


@dataclass(frozen=True)
class Rerun:
    """Hand a trial to the engine once more."""

    number: int


@dataclass(frozen=True)
class Reuse:
    """Answer a trial with the result of trial `of`."""

    ticket: int
    number: int
    of: int


@dataclass(frozen=True)
class Record:
    """Write the trial's result and tell it to the sampler; its ticket is used up."""

    number: int


@dataclass(frozen=True)
class GiveUp:
    """Record the trial as failed: it has cost too many workers."""

    number: int


@dataclass(frozen=True)
class Release:
    """Leave the trial unfinished, for whoever goes on with the study; recorded where the engine has finished it by then."""

    ticket: int
    number: int


@dataclass(frozen=True)
class Return:
    """Give the ticket back."""

    ticket: int


@dataclass(frozen=True)
class Abandon:
    """Forget a proposal that was never run, and give its ticket back."""

    ticket: int
    number: int


@dataclass(frozen=True)
class End:
    """All is done, or nothing more shall be."""

    reason: str | None


Action = Take | Ask | Start | Rerun | Reuse | Record | GiveUp | Release | Return | Abandon | End
Actions = tuple[Action, ...]

"""Every error that prunesearch raises on purpose, and the words they are told in.

PrunesearchError
├── UsageError            exit 2   the command line is off
├── DefinitionError       exit 3   a study, policy, task or trial is bad or unknown
│   ├── PolicyError
│   ├── StudyError
│   ├── TaskError
│   └── TrialError
├── StoreError            exit 4   the database cannot be opened, read or written
│   └── NewerSchemaError
├── InfeasibleError       exit 5   nothing that was tried is feasible
└── EnvironmentFailure    exit 6   data, device, memory or a package is missing
    └── MissingDataError

An error says what happened, what was given, and what to do (`hint`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/]*:)\S*(?=@)", re.IGNORECASE)
"""Up to the last @ before a space: SQLAlchemy takes @ in the user's name, and anything but @ in the password."""
_QUERY_PASSWORD = re.compile(r"(?P<head>[?&](?:password|passwd|pwd|sslpassword)=)[^&\s]+", re.IGNORECASE)


class PrunesearchError(Exception):
    """Base of all: `str(error)` is the message with secrets masked, `hint` what to do about it.

    `found` is what had been found when the error came, where it is worth telling: the run whose files could not be written.
    """

    exit_code = 1
    found: object = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = mask_secrets(message)
        self.hint = mask_secrets(hint) if hint else None
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type[PrunesearchError], tuple[str, str | None]]:
        return type(self), (self.message, self.hint)


class UsageError(PrunesearchError):
    """The command line contradicts itself or asks for something that does not exist."""

    exit_code = 2


class DefinitionError(PrunesearchError):
    """A study, policy, task or trial is unknown or not valid."""

    exit_code = 3


class PolicyError(DefinitionError):
    """A policy breaks a range or the table of what goes with what."""


class StudyError(DefinitionError):
    """A study definition is unknown, not valid, or differs from the stored one."""


class TaskError(DefinitionError):
    """A task is unknown, does not load, or its parts do not fit together."""


class TrialError(DefinitionError):
    """A trial that was asked for is not there."""


class StoreError(PrunesearchError):
    """The database cannot be opened, read or written."""

    exit_code = 4


class NewerSchemaError(StoreError):
    """The database was written by a newer prunesearch."""


class InfeasibleError(PrunesearchError):
    """Nothing that was tried satisfies the constraints, or a policy leaves no usable network."""

    exit_code = 5


class EnvironmentFailure(PrunesearchError):
    """Something outside the study is missing: data, a device, memory, a package."""

    exit_code = 6


class MissingDataError(EnvironmentFailure):
    """A data set is not where it was looked for."""


def mask_secrets(text: str) -> str:
    """`text` with the passwords of all URLs in it replaced by `***`."""
    text = _URL_PASSWORD.sub(r"\g<head>***", text)
    return _QUERY_PASSWORD.sub(r"\g<head>***", text)


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"did you mean 'x'?"`, or the list of what is known where nothing is close."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "none is known"


def bulleted(problems: Sequence[str]) -> str:
    """Problems as lines of a list; a single one as it is."""
    return problems[0] if len(problems) == 1 else "".join(f"\n  - {p}" for p in problems)

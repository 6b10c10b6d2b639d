"""The outbox: results that are not in the database yet. A database that is away for a while costs nothing but time.

Whatever is written or read is tried again, with growing pauses, for as long as `PATIENCE` says. A result that cannot be
written even then goes into a JSON file in PRUNESEARCH_HOME, and is written when the study is next opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from prunesearch.errors import StoreError, TrialError
from prunesearch.results import Result
from prunesearch.store import Store
from prunesearch.store.connect import parse_url, sqlite_path

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds for which a database may be away before a search gives up."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_RESULT = TypeAdapter(Result)


@dataclass(frozen=True)
class Letter:
    """A trial's result on its way into the store; the arguments of `Store.record_result`, and which trial is meant.

    Args:
        study: the study's name.
        number: the trial.
        made: when the study was made, which tells it from another one of its name.
        digest: of the trial's policy.
        result: what came out.
        violations: per constrained measure how far it is beyond its bound.
        feasible: whether it is complete and satisfies all constraints.
    """

    study: str
    number: int
    made: str
    digest: str
    result: Result
    violations: dict[str, float] = field(default_factory=dict)
    feasible: bool = False

    def to_json(self) -> str:
        """The letter as text; numbers that are not finite stay what they are."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Letter:
        """A letter from its text.

        Raises:
            ValueError: it is not one.
        """
        try:
            plain = json.loads(text)
            return cls(**plain | {"result": _RESULT.validate_python(plain["result"])})
        except (ValidationError, KeyError, TypeError) as error:
            raise ValueError(f"not a result of a trial: {error}") from None


class Outbox:
    """Patience with a database, and a place for results while it is away.

    Args:
        home: PRUNESEARCH_HOME; nothing is created there unless it is needed.
        store_url: tells apart the results of different stores.
        warn: told once when the database stops answering.
        patience: seconds to go on trying.
    """

    def __init__(self, home: Path, store_url: str, warn: Callable[[str], None], patience: float = PATIENCE) -> None:
        file = sqlite_path(parse_url(store_url))
        store = store_url if file is None else str(file.resolve())  # `prunesearch.db` is another one in another folder
        self._folder = home / "outbox" / hashlib.sha256(store.encode()).hexdigest()[:12]
        self._warn = warn
        self._patience = patience

    def patiently(self, call: Callable[[], T]) -> T:
        """What `call` returns, tried again while the store fails.

        Raises:
            StoreError: the store failed until patience ran out.
        """
        until = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return call()
            except StoreError as error:
                if time.monotonic() + pause > until:
                    raise
                if pause == _FIRST_PAUSE:
                    self._warn(f"{error.message}; trying again for up to {self._patience:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def send(self, letter: Letter, write: Callable[[Letter], Any]) -> None:
        """Write a result, or keep it in a file and say so.

        Raises:
            StoreError: the store failed until patience ran out; the result is in a file by then, if one could be written.
        """
        try:
            self.patiently(lambda: write(letter))
        except StoreError as error:
            try:
                path = self.keep(letter)
            except OSError as problem:
                why = f"trial {letter.number} cannot be kept in {self._folder}: {problem.strerror or problem}"
                raise StoreError(f"{error.message}; and {why}", "mend either: the same command has it run again") from error
            hint = f"trial {letter.number} is kept in {path.parent}; the same command writes it when the store is back"
            raise StoreError(error.message, hint) from error

    def keep(self, letter: Letter) -> Path:
        """Put a result into a file, complete or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{letter.study}-{letter.number}.json"
        draft = path.with_suffix(f".{os.getpid()}.part")
        try:
            draft.write_text(letter.to_json(), encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def kept(self, study: str) -> Iterator[tuple[Path, Letter]]:
        """The results of a study that are in files, by name of file. Files that are no results are left alone."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                letter = Letter.from_json(path.read_text(encoding="utf-8"))
            except (ValueError, OSError):
                self._warn(f"{path} is not a result that can be read; it is left alone")
                continue
            if letter.study == study:
                yield path, letter

    def replay(self, study: str, write: Callable[[Letter], Any]) -> int:
        """Write what is in files, and remove them. What `write` refuses with a TrialError is set aside, and told.

        Returns:
            How many results were written.
        """
        count = 0
        for path, letter in self.kept(study):
            try:
                write(letter)
            except TrialError as error:
                aside = path.replace(path.with_suffix(".aside"))
                self._warn(f"a result that was kept is set aside as {aside}: {error.message}")
                continue
            path.unlink(missing_ok=True)
            count += 1
        return count


def refuse_strange(letter: Letter, store: Store) -> None:
    """Refuse the result of a trial that the store does not have: its study was begun anew, or is an older copy.

    Raises:
        TrialError: saying so.
    """
    if store.study(letter.study).created_at != letter.made:
        raise TrialError(f"study '{letter.study}' was made anew since")
    if store.trial(letter.study, letter.number).digest != letter.digest:
        raise TrialError(f"trial {letter.number} has another policy now")

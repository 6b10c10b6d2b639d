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

from prunesearch.errors import StoreError
from prunesearch.results import Result

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds for which a database may be away before a search gives up."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_RESULT = TypeAdapter(Result)


@dataclass(frozen=True)
class Letter:
    """A trial's result on its way into the store; the arguments of `Store.record_result`."""

    study: str
    number: int
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
            return cls(
                plain["study"], plain["number"], _RESULT.validate_python(plain["result"]), plain["violations"], plain["feasible"]
            )
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
        self._folder = home / "outbox" / hashlib.sha256(store_url.encode()).hexdigest()[:12]
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
            StoreError: the store failed until patience ran out; the result is in a file by then.
        """
        try:
            self.patiently(lambda: write(letter))
        except StoreError as error:
            path = self.keep(letter)
            hint = f"trial {letter.number} is kept in {path.parent}; the same command writes it when the store is back"
            raise StoreError(error.message, hint) from error

    def keep(self, letter: Letter) -> Path:
        """Put a result into a file, complete or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{letter.study}-{letter.number}.json"
        draft = path.with_suffix(f".{os.getpid()}.part")
        draft.write_text(letter.to_json(), encoding="utf-8")
        draft.replace(path)
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
        """Write what is in files, and remove them.

        Returns:
            How many results were written.
        """
        count = 0
        for path, letter in self.kept(study):
            write(letter)
            path.unlink(missing_ok=True)
            count += 1
        return count

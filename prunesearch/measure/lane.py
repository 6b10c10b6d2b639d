"""One device to itself: a turnstile between training and latency measurement, for all processes of a user on a host.

Whoever trains holds the room shared and asks at every `checkpoint` whether somebody wants it alone; whoever measures
closes the gate, waits until the room is empty, and has it exclusively. Two files with `flock` locks, so that the
kernel frees everything when a process dies, however it dies:

    gate: shared for the moment of entering, exclusive while a measurer waits or measures. It keeps newcomers out,
          for `flock` alone is not fair: those who train would otherwise go in and out past a waiting measurer for ever.
    room: shared while training, exclusive while measuring.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

_logger = logging.getLogger("prunesearch.measure")

PATIENCE = 10.0
"""Seconds that a measurer waits for those who train; batches are shorter, and whoever takes longer may be stopped."""
_MEASURING = 12  # times as long may a measurement take, and those who train wait for it
_LEAST = 0.1  # seconds that are waited however often it was in vain
_POLL = 0.01  # seconds between tries; 100 wake-ups a second disturb a measurement by less than 0.1 %


class Lane:
    """A turnstile for one device. Not for several threads at once: every thread opens its own.

    Where locks cannot be had (a temporary folder that is not safe) nothing is locked and `notes` says why.

    Args:
        device: what is shared: `cpu`, or a name that is unique to the GPU on this host.
        folder: where the lock files lie; default: a folder of this user's own in the temporary folder.
        patience: seconds that `alone` waits for those who train. After that it goes on without them, and waits half as long
            the next time, until somebody makes way again.
        drain: waits until the device has done all that this process gave it; called before others get it.

    Attributes:
        waited: seconds spent waiting for others so far.
        notes: what did not go as it should; told as warnings too.
    """

    def __init__(
        self, device: str, folder: Path | None = None, patience: float = PATIENCE, drain: Callable[[], None] | None = None
    ) -> None:
        self.waited = 0.0
        self.notes: list[str] = []
        self._drain = drain
        self._patience = self._patient = {"gate": _MEASURING * patience, "room": patience}
        self._working = self._inside = False
        self._gate = self._room = -1
        self._finalizer = weakref.finalize(self, _close, ())
        try:
            home = _private_folder(folder)
            name = re.sub(r"[^A-Za-z0-9.-]", "-", device)
            self._gate, self._room = (_open(home / f"{name}.{part}.lock") for part in ("gate", "room"))
        except OSError as error:
            self._note(f"latency is measured beside other trials: no lock files ({error})")
            return
        self._finalizer = weakref.finalize(self, _close, (self._gate, self._room))
        # A forked process shares the locks until it closes its copies: a loader's worker would outlive a killed trial.
        os.register_at_fork(after_in_child=self._finalizer)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Be one of those who share the device; call `checkpoint` every now and then."""
        self._working = True
        self._enter()
        try:
            yield
        finally:
            self._working = False
            self._leave()

    def checkpoint(self) -> None:
        """Step aside if somebody wants the device alone. Two system calls where nobody does."""
        if not self._working or self._gate < 0:
            return
        if _try(self._gate, fcntl.LOCK_SH):
            self._inside = self._inside or _try(self._room, fcntl.LOCK_SH)  # who once waited in vain comes back
            _free(self._gate)
        elif self._inside:
            self._leave()
            self._enter()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the device exclusively, among all who use lanes. May be used inside `working`."""
        self._leave()
        self._wait("gate", fcntl.LOCK_EX)
        self._wait("room", fcntl.LOCK_EX)
        try:
            yield
        finally:
            for fd in (self._room, self._gate):
                _free(fd)
            if self._working:
                self._enter()

    def close(self) -> None:
        """Give up all locks and close the files; the lane then locks nothing."""
        self._finalizer()
        self._gate = self._room = -1
        self._inside = False

    def _enter(self) -> None:
        # Shared on the gate while entering: nobody then holds it exclusively, so nobody has the room alone.
        if self._wait("gate", fcntl.LOCK_SH):
            self._inside = self._wait("room", fcntl.LOCK_SH)
            _free(self._gate)

    def _leave(self) -> None:
        if not self._inside:
            return
        self._inside = False
        try:
            if self._drain is not None:
                self._drain()
        finally:
            _free(self._room)

    def _wait(self, which: Literal["gate", "room"], how: int) -> bool:
        """Whether the lock was had before patience ended."""
        fd = self._gate if which == "gate" else self._room
        if fd < 0:
            return False
        began = time.monotonic()
        while not (got := _try(fd, how)) and time.monotonic() - began < self._patience[which]:
            time.sleep(_POLL)
        self.waited += time.monotonic() - began
        if got:
            self._patience = {**self._patience, which: self._patient[which]}
        else:
            self._lose_patience(which)
        return got

    def _lose_patience(self, which: Literal["gate", "room"]) -> None:
        waited = self._patience[which]
        if waited == self._patient[which]:
            who = "one that measures" if which == "gate" else "one that trains"
            self._note(f"latency is measured beside other trials: {who} did not make way for {waited:g} s")
        self._patience = {**self._patience, which: min(waited, max(_LEAST, waited / 2))}

    def _note(self, text: str) -> None:
        self.notes.append(text)
        _logger.warning("%s", text)


def _try(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free(fd: int) -> None:
    if fd >= 0:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


def _private_folder(folder: Path | None) -> Path:
    """The folder of the lock files, made if need be: nobody else may own it, write to it, or have put a link there.

    Raises:
        PermissionError: it is not this user's alone.
    """
    home = folder or Path(tempfile.gettempdir()) / f"prunesearch-{os.getuid()}"
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    found = os.lstat(home)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{home} is not a folder that only this user can write to")
    return home


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

"""Two streams: data on stdout, talk on stderr. Colour only on terminals, and never where NO_COLOR is set."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console
from rich.text import Text

from prunesearch.errors import EnvironmentFailure

PIPE_WIDTH = 400
"""Columns of a table in a pipe, where there is no edge to wrap at."""
BROKEN_PIPE = 141
"""What shells report for SIGPIPE."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk answers that takes no more."""


def data_console() -> Console:
    """The console for data: stdout, wide where it is not a terminal, so that no table is cut off."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)


@dataclass(frozen=True)
class Talk:
    """What is told to the person, on stderr. `quiet` leaves only errors."""

    quiet: bool = False

    @cached_property
    def console(self) -> Console:
        """The console on stderr. Long lines are left to the terminal to wrap, so that commands can be copied."""
        return Console(file=sys.stderr, highlight=False, emoji=False, markup=False, soft_wrap=True)

    def say(self, text: str = "", style: str | None = None) -> None:
        """One line of talk."""
        if not self.quiet:
            self.console.print(Text(text, style=style or ""))

    def command(self, text: str, why: str) -> None:
        """A command to type next, and what it does."""
        if not self.quiet:
            self.console.print(Text("  ") + Text(text.ljust(56), style="bold") + Text(f"  {why}", style="dim"))

    def error(self, message: str, hint: str | None = None) -> None:
        """What went wrong and what to do about it; told even when quiet."""
        self.console.print(Text("error: ", style="bold red") + Text(message))
        if hint:
            self.console.print(Text("hint: ", style="bold") + Text(hint))

    def plain(self, text: str) -> None:
        """Text as it is, such as a traceback."""
        self.console.print(Text(text))


def pipe_closed() -> int:
    """Our reader went away, as `| head` does: let the last flush go nowhere. Returns the exit code."""
    _drop_the_rest()
    return BROKEN_PIPE


@contextmanager
def printing() -> Iterator[None]:
    """All that a command prints is on its way in the end.

    Raises:
        EnvironmentFailure: the disk that it goes to is full.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        _flush_or_drop()
        told = f"cannot write {repr(error.filename) if error.filename else 'the output'}: {error.strerror}"
        raise EnvironmentFailure(told, "make room, or write to another place") from error


def _flush_or_drop() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_the_rest()


def _drop_the_rest() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

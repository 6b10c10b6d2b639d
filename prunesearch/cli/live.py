"""What a search shows while it runs: a live display on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from prunesearch.cli.console import Talk
from prunesearch.report.progress import News, Progress, line_of
from prunesearch.report.words import duration
from prunesearch.search.events import FrontChanged, TrialStarted, Warned

RECENT = 3
"""Lines about what came last."""


class Watch:
    """Gathers news; `state` is where the search stands.

    Args:
        talk: where things are told.
        clock: seconds, of any origin.
    """

    def __init__(self, talk: Talk, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = Progress()
        self._talk = talk
        self._clock = clock
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._began = clock()
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While this lasts, news are shown as they come."""
        if self._talk.quiet or not self._talk.console.is_terminal:
            yield
            return
        with Live(self, console=self._talk.console, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def hear(self, news: News) -> None:
        """The listener of the search."""
        self.state = self.state.after(news, self._clock())
        line = line_of(news, self.state)
        if line is None:
            return
        if self._live is None:
            self._talk.say(line)
        elif isinstance(news, Warned):
            self._talk.say(line, style="yellow")
        elif not isinstance(news, FrontChanged | TrialStarted):
            self._recent.append(line)

    def __rich__(self) -> Group:
        """The display, drawn anew four times a second."""
        return Group(*self._lines())

    def _lines(self) -> Iterator[Table | Text]:
        state, now = self.state, self._clock()
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(1, state.total), completed=state.done, width=40)
        left = state.left(now)
        clock = f"{duration(now - self._began)}" + ("" if left is None else f", about {duration(left)} left")
        head.add_row(Text(state.study or "starting", style="bold"), bar, f"{state.done}/{state.total}", Text(clock, style="dim"))
        yield head
        figures = Table.grid(padding=(0, 1))
        shown = list(state.figures().items())
        for first in range(0, len(shown), 3):
            cells = [
                part for title, value in shown[first : first + 3] for part in (Text(title, style="dim"), Text(f"{value}   "))
            ]
            figures.add_row(*cells)
        yield figures
        for line in self._recent:
            yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")

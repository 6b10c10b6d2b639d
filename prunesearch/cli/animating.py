"""The command `animate`: how far it is, and what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from prunesearch.api.animating import Picture
from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit
from prunesearch.report.table import Column, Table
from prunesearch.report.words import number


def watched(animate: Callable[..., tuple[Picture, ...]], context: Context) -> tuple[Picture, ...]:
    """Draw with a bar for every step: on a terminal only; in a pipe the steps are lines."""
    talk = context.talk
    live = talk.console.is_terminal and not talk.quiet
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=talk.console, transient=True, disable=not live) as progress:

        def hear(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
                if not live:
                    talk.say(what)
            progress.update(bars[what], completed=done)

        return animate(**context.given, listener=hear)


def animated(pictures: tuple[Picture, ...], context: Context) -> None:
    """The files that were written."""
    rows = [asdict(p) for p in pictures]
    columns = (
        Column("what", "picture"),
        Column("path", "file"),
        Column("frames", "frames", right=True),
        Column("bytes", "bytes", number, right=True),
    )
    emit(context.format, Table(columns, rows), lambda: {"pictures": rows})
    for picture in pictures:
        for note in picture.notes:
            context.talk.say(f"{picture.what}: {note}")
    recording = context.given.get("recording")
    if recording and context.given.get("frame") is None:
        context.next("animate", "one frame of it", recording=recording, frame="last", to="last.png")

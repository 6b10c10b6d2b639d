"""The command `search`: a display while it runs; then the front, what was found, and what to type next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit
from prunesearch.cli.live import Watch
from prunesearch.cli.stopping import INTERRUPTED, TERMINATED
from prunesearch.front import Front
from prunesearch.report.findings import finding, told
from prunesearch.report.progress import Progress
from prunesearch.report.tables import front_csv, front_table
from prunesearch.report.words import duration

CODES = {"interrupt": INTERRUPTED, "terminate": TERMINATED}
"""How a search that was stopped ends."""
WHY = {
    "interrupt": "stopped",
    "terminate": "stopped",
    "timeout": "the time is up",
    "exhausted": "the space holds no more policies",
}


@dataclass(frozen=True)
class Searched:
    """A front, and how the search that found it ended."""

    front: Front
    state: Progress


def watched(search: Callable[..., Front], context: Context) -> Searched:
    """Search with a display."""
    if context.given["dry_run"]:
        context.talk.say("a rehearsal: all figures are invented, and nothing is stored")
    watch = Watch(context.talk)
    with watch.showing():
        front = search(**context.given, listener=watch.hear)
    return Searched(front, watch.state)


def searched(found: Searched, context: Context) -> None:
    """The front, what was found, and what to type next; the exit code says whether somebody stopped it."""
    front, ended = found.front, found.state.ended
    if front.rows or context.format != "table":
        emit(context.format, front_table(front), front.to_dict, front_csv(front))
    _told(found, context)
    if ended and ended.stopped in CODES:
        raise typer.Exit(CODES[ended.stopped])


def _told(found: Searched, context: Context) -> None:
    """The talk after a search."""
    talk, front, study, ended = context.talk, found.front, found.front.study, found.state.ended
    if front.rows:
        talk.say(f"{finding(front)}.", style="bold")
    if ended:
        talk.say(_ending(found.state))
    if context.given["dry_run"]:
        talk.say("that was a rehearsal: nothing was trained or stored")
        return
    if ended and ended.done < ended.total and ended.stopped != "exhausted":
        why = f"goes on with the {ended.total - ended.done} trials that are left"
        context.next("search", why, **_again(context, ended.total))
    if front.rows:
        trial = told(front).trial
        context.next("show", "all about it", study=study, trial=trial)
        context.next("export", "policy, weights and card to ship", study=study, trial=trial, to="bundle")
        context.next("dashboard", "the study in the browser", study=study)
    if ended and ended.done >= ended.total:
        context.next("search", "search on", study=study, more=ended.total)


def _ending(state: Progress) -> str:
    ended = state.ended
    if ended is None:
        return ""
    parts = [f"{ended.done} of {ended.total} trials in the store"]
    if ended.stopped:
        parts.insert(0, WHY.get(ended.stopped, ended.stopped))
    if state.began is not None and ended.done > state.before:
        parts.append(f"{ended.done - state.before} now in {duration(ended.seconds)}")
    if state.failed:
        parts.append(f"{state.failed} failed")
    if state.saved:
        parts.append(f"{state.saved:,} of {state.epochs:,} epochs shared")
    return ", ".join(parts)


def _again(context: Context, total: int) -> dict[str, Any]:
    """What the command that goes on is given: the same, but for a total in place of `--more`."""
    given: dict[str, Any] = {k: v for k, v in context.given.items() if k != "more"}
    if context.given.get("more"):
        given["trials"] = total
    return given

"""All commands, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from prunesearch import api
from prunesearch.cli import animating, curving, sensing, show, work
from prunesearch.cli.build import Context, adapted, command, help_text
from prunesearch.cli.options import Spelling

FILE = Spelling(str, metavar="FILE")
FOLDER = Spelling(str, metavar="DIR")
SENSED = Spelling(str, ("--to",), "FILE")
STUDY = Spelling(str, metavar="STUDY")
ANIMATE = {"study": Spelling(str, ("--study",), "STUDY"), "to": Spelling(str, ("--to",), "FILE|DIR")}


def _studies() -> typer.Typer:
    group = typer.Typer(invoke_without_command=True, help=help_text(api.studies))
    group.callback()(adapted(api.studies, show.studies, bare=True))
    command(group, api.studies, show.studies, name="list")
    command(group, api.studies_show, show.definition, name="show", own={"study": STUDY})
    command(group, api.studies_copy, show.written, name="copy", own={"study": STUDY, "to": FILE}, formats=False)
    return group


def _watched(search: Callable[..., Any], context: Context) -> Any:
    """`search` with its display, which is imported only for it."""
    from prunesearch.cli.searching import watched

    return watched(search, context)


def _searched(found: Any, context: Context) -> None:
    from prunesearch.cli.searching import searched

    searched(found, context)


def build() -> typer.Typer:
    """The program, with all its commands in the order of `--help`."""
    made = typer.Typer(
        name="prunesearch",
        help="Searches how to prune a neural network: the Pareto front of accuracy against parameters and latency.",
        epilog="Start with: prunesearch search quickstart",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    command(made, api.init, show.started, own={"to": FOLDER}, formats=False)
    command(made, api.check, work.checked)
    command(made, api.search, _searched, around=_watched)
    made.add_typer(_studies(), name="studies")
    command(made, api.status, show.status)
    command(made, api.front, show.front)
    command(made, api.show, show.shown)
    command(made, api.groups, work.groups)
    command(made, api.run, work.ran, around=work.running)
    command(made, api.curve, curving.drawn, around=curving.watched)
    command(made, api.sensitivity, sensing.sensed, around=sensing.watched, own={"to": SENSED})
    command(made, api.export, work.exported, formats=False)
    command(made, api.animate, animating.animated, own=ANIMATE, around=animating.watched)
    command(made, api.dashboard, work.served, formats=False, around=work.serving)
    command(made, api.doctor, work.findings)
    command(made, api.version, show.version, formats=False)
    return made


app = build()
COMMANDS = frozenset(str(c.name) for c in app.registered_commands) | frozenset(str(g.name) for g in app.registered_groups)
"""The names of all commands."""

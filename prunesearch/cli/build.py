"""A command is made from the Python function of the same name: same arguments, same defaults, same words of help."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from prunesearch import api
from prunesearch.cli.console import Talk, pipe_closed
from prunesearch.cli.options import DEBUG, FORMAT, QUIET, SPELLINGS, Format, Spelling, annotated
from prunesearch.cli.stopping import code_of
from prunesearch.errors import mask_secrets

CARRIED = ("store", "data_dir", "plugin")
"""Arguments that say where things are, which no store keeps."""


@dataclass(frozen=True)
class Context:
    """How a command's outcome is to be shown: format of the data, the talk beside it, and what was given."""

    format: Format
    talk: Talk
    debug: bool
    given: Mapping[str, Any]

    def next(self, name: str, why: str, /, **given: Any) -> None:
        """Tell a command to type next, which finds store, data and plug-ins where this one did.

        Args:
            name: what follows `prunesearch`.
            why: what it does.
            given: its arguments.
        """
        takes = inspect.signature(getattr(api, name.partition(" ")[0])).parameters
        where = {key: self.given[key] for key in CARRIED if key in takes and key in self.given}
        self.talk.command(command_line(name, {**given, **where}), why)


Show = Callable[[Any, Context], None]
"""Prints what the function returned."""

Around = Callable[[Callable[..., Any], Context], Any]
"""Calls the function with `context.given` and returns what it returned."""


def command(app: typer.Typer, function: Callable[..., Any], show: Show, *, name: str | None = None, **how: Any) -> None:
    """Add `function` to `app` as a command of its own name, or of `name`; `how` is what `adapted` takes."""
    app.command(name or function.__name__, help=help_text(function))(adapted(function, show, **how))


def adapted(
    function: Callable[..., Any],
    show: Show,
    *,
    formats: bool = True,
    own: Mapping[str, Spelling] | None = None,
    around: Around | None = None,
    bare: bool = False,
) -> Callable[..., None]:
    """`function` as Typer takes it.

    Args:
        function: the Python function; parameters that no spelling is known for stay Python's own.
        show: prints the outcome.
        formats: whether the command takes `--format`.
        own: spellings that differ from the usual ones here.
        around: calls the function, for what happens meanwhile, such as a live display.
        bare: whether it is what a group of commands does when none of them is named.
    """

    def call(**given: Any) -> None:
        if bare and given.pop("ctx").invoked_subcommand:
            return
        context = Context(given.pop("format", "table"), Talk(given.pop("quiet")), given.pop("debug"), given)
        try:
            show(around(function, context) if around else function(**given), context)
        except BrokenPipeError:
            raise typer.Exit(pipe_closed()) from None
        except KeyboardInterrupt as stop:
            context.talk.say("stopped")
            raise typer.Exit(code_of(stop)) from None

    parameters = _parameters(function, own or {}, formats=formats, bare=bare)
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _parameters(
    function: Callable[..., Any], own: Mapping[str, Spelling], *, formats: bool, bare: bool
) -> list[inspect.Parameter]:
    given = inspect.signature(function).parameters
    found = [_extra("ctx", typer.Context, inspect.Parameter.empty)] if bare else []
    found += [_parameter(n, p, own.get(n)) for n, p in given.items() if n in SPELLINGS or n in own]
    found += [_extra("format", FORMAT, "table")] if formats else []
    return [*found, _extra("quiet", QUIET, False), _extra("debug", DEBUG, False)]


def _parameter(name: str, given: inspect.Parameter, spelling: Spelling | None) -> inspect.Parameter:
    required = given.default is inspect.Parameter.empty
    default = list(given.default) if isinstance(given.default, tuple) else given.default
    return _extra(name, annotated(name, required, spelling), default)


def _extra(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def help_text(function: Callable[..., Any]) -> str:
    """The docstring up to its first section, for `--help`."""
    text = inspect.getdoc(function) or ""
    kept = []
    for paragraph in text.split("\n\n"):
        if paragraph.split("\n")[0] in ("Args:", "Returns:", "Raises:", "Example:"):
            break
        kept.append(" ".join(paragraph.split("\n")))
    return "\n\n".join(kept)


def command_line(name: str, given: Mapping[str, Any]) -> str:
    """The command line that says `given`; what is not set is left out, and passwords are masked."""
    words = ["prunesearch", *name.split()]
    for key, value in given.items():
        flags = SPELLINGS[key].flags
        if not flags:
            words += [str(value)] if value is not None else []
        elif value is True:
            words.append(flags[0])
        elif isinstance(value, list | tuple):
            words += [w for v in value for w in (flags[0], str(v))]
        elif value is not None and value is not False:
            words += [flags[0], str(value)]
    return shlex.join(map(mask_secrets, words))

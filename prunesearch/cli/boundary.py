"""Between the program and the person: every way a command can end becomes an exit code and, on stderr, words."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import typer

from prunesearch.cli.console import Talk, pipe_closed, printing
from prunesearch.cli.stopping import code_of, terminable
from prunesearch.errors import PrunesearchError, mask_secrets


def guarded(argv: Sequence[str]) -> int:
    """Run the command line `argv`; never raises, save `SystemExit` out of shell completion."""
    talk, debug = Talk(), "--debug" in argv
    try:
        with terminable(), printing():
            code = _run(argv)
    except BrokenPipeError:
        return pipe_closed()
    except KeyboardInterrupt as stop:
        talk.say("stopped")
        return code_of(stop)
    except typer.TyperException as error:
        talk.error(_sentence(error.format_message()), _usage_hint(argv))
        return error.exit_code
    except PrunesearchError as error:
        talk.error(error.message, error.hint)
        _trace(talk, debug)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is told, not thrown at the user
        return _bug(talk, error, debug)
    return code


def _run(argv: Sequence[str]) -> int:
    from prunesearch.cli.app import app

    if not argv:
        argv = ["--help"]
    code = app(list(argv), prog_name="prunesearch", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _bug(talk: Talk, error: Exception, debug: bool) -> int:
    told = mask_secrets(f"{type(error).__name__}: {error}")
    hint = "report it with the lines above" if debug else "run it again with --debug for the details to report"
    _trace(talk, debug)
    talk.error(f"this is a bug in prunesearch: {told}", hint)
    return 1


def _trace(talk: Talk, debug: bool) -> None:
    if debug:
        talk.plain(mask_secrets(traceback.format_exc()))


def _sentence(message: str) -> str:
    """Typer's messages in the manner of ours: no capital, no full stop."""
    text = message.strip().removesuffix(".").replace(": Value error, ", ": ")
    return text[:1].lower() + text[1:]


def _usage_hint(argv: Sequence[str]) -> str:
    from prunesearch.cli.app import COMMANDS

    words = [a for a in argv if a in COMMANDS][:1]
    return f"'{' '.join(['prunesearch', *words, '--help'])}' lists what there is"

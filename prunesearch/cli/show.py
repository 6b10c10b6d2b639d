"""How each command's outcome is printed: data on stdout, talk on stderr."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from prunesearch import yamlfile
from prunesearch.api.definitions import StudyLine
from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit, emit_json
from prunesearch.report.tables import studies_table


def studies(lines: list[StudyLine], context: Context) -> None:
    """Ready and stored studies."""
    plain = [asdict(line) for line in lines]
    emit(context.format, studies_table(plain), {"studies": plain})
    if not any(line.where == "stored" for line in lines):
        context.talk.say("the store holds no studies yet")
    context.talk.command("prunesearch search NAME", "search, or go on")
    context.talk.command("prunesearch studies copy NAME my_study.yaml", "a definition to edit")


def definition(plain: dict[str, Any], context: Context) -> None:
    """A study's definition: YAML for the eye."""
    if context.format == "json":
        emit_json({"definition": plain})
    else:
        sys.stdout.write(yamlfile.dump(plain))


def written(path: str, context: Context) -> None:
    """A definition that was copied to a file."""
    context.talk.say(f"wrote {path}")
    context.talk.command(f"prunesearch check {path}", "what it would cost")


def started(paths: list[str], context: Context) -> None:
    """The two files of `init`."""
    study, task = paths
    context.talk.say(f"wrote {study} (what is searched) and {task} (network, data, training)")
    context.talk.command(f"prunesearch check {study}", "what it would cost")
    context.talk.command(f"prunesearch search {study}", "run it")


def version(text: str, _context: Context) -> None:
    """The version, alone on stdout."""
    sys.stdout.write(f"{text}\n")

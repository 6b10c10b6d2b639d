"""How the outcome of commands that read is printed: data on stdout, talk on stderr."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from prunesearch import yamlfile
from prunesearch.api.definitions import StudyLine
from prunesearch.api.reading import Shown, Status
from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit, emit_table
from prunesearch.front import Front
from prunesearch.report.classes import class_table
from prunesearch.report.table import Column, Table
from prunesearch.report.tables import (
    UNCONFIRMED,
    epochs_table,
    front_csv,
    front_table,
    groups_table,
    layers_table,
    measures_table,
    status_table,
    studies_table,
)
from prunesearch.report.words import policy_words


def studies(lines: list[StudyLine], context: Context) -> None:
    """Ready and stored studies."""
    plain = [asdict(line) for line in lines]
    emit(context.format, studies_table(plain), lambda: {"studies": plain})
    if not any(line.where == "stored" for line in lines):
        context.talk.say("the store holds no studies yet")
    context.next("search NAME", "search, or go on")
    context.next("studies copy NAME my_study.yaml", "a definition to edit")


def definition(plain: dict[str, Any], context: Context) -> None:
    """A study's definition: YAML for the eye, one line per field as CSV."""
    if context.format == "table":
        sys.stdout.write(yamlfile.dump(plain))
        return
    rows = [{"field": field, "value": value} for field, value in plain.items()]
    emit(context.format, Table((Column("field", "field"), Column("value", "")), rows), lambda: {"definition": plain})


def written(target: str, context: Context) -> None:
    """A study that was copied."""
    if not target.endswith((".yaml", ".yml")):
        context.talk.say(f"copied study '{target}' with its trials")
        return
    context.talk.say(f"wrote {target}")
    context.next("check", "what it would cost", study=target)


def started(paths: list[str], context: Context) -> None:
    """The two files of `init`."""
    study, task = paths
    context.talk.say(f"wrote {study} (what is searched) and {task} (network, data, training)")
    context.next("check", "what it would cost", study=study)
    context.next("search", "run it", study=study)


def version(text: str, _context: Context) -> None:
    """The version, alone on stdout."""
    sys.stdout.write(f"{text}\n")


def status(found: Status, context: Context) -> None:
    """How a study stands."""
    plain = asdict(found)
    emit(context.format, status_table(plain), lambda: plain)
    if found.finished < found.total:
        context.next("search", f"run the {found.total - found.finished} that are left", study=found.study)
    if found.front:
        context.next("front", "the front", study=found.study)


def front(found: Front, context: Context) -> None:
    """The Pareto front, with the dense network above it."""
    if found.rows or context.format != "table":
        emit(context.format, front_table(found), found.to_dict, front_csv(found))
    if not found.rows:
        context.talk.say("nothing is on the front yet")
    elif context.format == "table":
        context.next("show", "all about one of them", study=found.study, trial=found[0].trial)
        which: dict[str, Any] = {"knee": True} if found.whole is None else {"trial": found[0].trial}
        context.next("export", "policy, weights and card to ship", study=found.study, **which, to="bundle")
    if context.given.get("plot"):
        context.talk.say(f"wrote {context.given['plot']}")


def shown(found: Shown, context: Context) -> None:
    """A trial, or a study."""
    dense = found.study.dense.measures if found.study.dense else None
    measures = found.trial.measures if found.trial else dense
    if context.format != "table":
        table = measures_table(measures, dense) if measures else status_table({})
        emit(context.format, class_table(found.classes) if found.full else table, found.to_dict)
    elif found.trial:
        _trial(found, context)
    else:
        _study(found, context)


def _trial(found: Shown, context: Context) -> None:
    trial, dense = found.trial, found.study.dense
    assert trial is not None  # shown() has looked
    _line(f"Trial {trial.number} of {found.study.name}: {trial.state}{_standing(found)}")
    _line(policy_words(trial.policy))
    for text in (trial.reason, *trial.notes):
        _line(text)
    if trial.measures:
        emit_table(measures_table(trial.measures, dense.measures if dense else None))
    _again(found)
    for table, rows in ((layers_table(trial.layers), trial.layers), (epochs_table(trial.epochs), trial.epochs)):
        if rows:
            emit_table(table)
    _classes(found, context)
    _line(f"policy.yaml ({trial.digest}, seed {trial.seed}, {trial.device or 'no device'}):")
    _line(trial.policy.to_yaml())
    if context.debug and trial.trace:
        _line(trial.trace)
    if trial.measures:
        context.next("export", "policy, weights and card to ship", study=found.study.name, trial=trial.number, to="bundle")


def _classes(found: Shown, context: Context) -> None:
    """Figures of every class, where they were asked for."""
    if found.full and found.classes:
        emit_table(class_table(found.classes))
    elif found.full:
        context.talk.say("no figures of classes are stored: the task is no classification, or nothing was trained")


def _again(found: Shown) -> None:
    """Which figures the table above has, and those of training again in exact."""
    if found.study.spec.get("numerics", "exact") == "exact":
        return
    if found.exact is None:
        _line("These are figures of fast numerics; nobody has trained it again in exact.")
        return
    why = f" ({found.exact.result.reason})" if found.exact.result.reason else ""
    _line(f"These are figures of fast numerics. Trained again in exact: {found.exact.result.state}{why}")
    if found.exact.measures:
        emit_table(measures_table(found.exact.measures, None))


def _standing(found: Shown) -> str:
    if found.on_front:
        return ", on the front" + ("" if found.trial and found.trial.confirmed else f" ({UNCONFIRMED})")
    return ", dominated" if found.trial and found.trial.feasible else ""


def _study(found: Shown, context: Context) -> None:
    study = found.study
    _line(f"Study {study.name}, made {study.created_at[:16].replace('T', ' ')} by prunesearch {study.code_version}")
    _line(yamlfile.dump(study.spec))
    if study.info:
        _line(f"Groups of {study.info.name} on {study.info.device}: {study.info.params:,} parameters")
        emit_table(groups_table(study.info.groups))
    if study.dense:
        _line("The dense network:")
        emit_table(measures_table(study.dense.measures, None))
        if found.full:
            emit_table(epochs_table(study.dense.epochs))
    _classes(found, context)
    context.next("front", "the front", study=study.name)


def _line(text: str | None) -> None:
    """A line of data."""
    if text:
        sys.stdout.write(text.rstrip("\n") + "\n")

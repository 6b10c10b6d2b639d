"""How the outcome of commands that work is printed: data on stdout, talk on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict

import typer

from prunesearch.api.checking import Checked
from prunesearch.api.doctoring import Finding
from prunesearch.api.running import Ran
from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit
from prunesearch.cli.stopping import Terminated
from prunesearch.errors import EnvironmentFailure, PrunesearchError
from prunesearch.report.findings import compare, versus
from prunesearch.report.table import Column, Table
from prunesearch.report.tables import groups_table, layers_table, measures_table
from prunesearch.report.words import duration, number, policy_words
from prunesearch.results import GroupInfo


def groups(found: tuple[GroupInfo, ...], context: Context) -> None:
    """What can be pruned together."""
    emit(context.format, groups_table(found), lambda: {"groups": [asdict(g) for g in found]})


def checked(found: Checked, context: Context) -> None:
    """What a study would cost."""
    rows = [{"what": what, "value": value} for what, value in _cost(found)]
    emit(context.format, Table((Column("what", "what"), Column("value", "")), rows), found.to_dict)
    for note in found.notes:
        context.talk.say(note)
    context.talk.say("the study is ready")
    given = dict(context.given)
    if not given["study"]:
        given["task"] = found.study.task
    context.next("search", f"about {duration(found.seconds)} of training", **given)


def running(run: Callable[..., Ran], context: Context) -> Ran:
    """Run; the figures are printed also where bundle or recording cannot be written in the end."""
    try:
        return run(**context.given)
    except PrunesearchError as error:
        if isinstance(error.found, Ran):
            ran(error.found, context)
        raise


def ran(found: Ran, context: Context) -> None:
    """One policy on one task."""
    if found.rescaled_from is not None:
        told = ", ".join(f"{k} {v}" for k, v in found.policy.present().items() if k in ("epoch_threshold", "converge_over"))
        context.talk.say(f"the policy was made for {found.rescaled_from} epochs; rescaled to {found.policy.epochs}: {told}")
    table = measures_table(found.measures, found.dense.measures)
    emit(context.format, table, found.to_dict)
    if context.format == "table":
        emit("table", layers_table(found.results[0].layers), dict)
    compared = compare(found.measures, found.dense.measures, maximize=found.info.direction == "maximize")
    context.talk.say(f"{versus(compared)}: {policy_words(found.policy)}")
    if found.deviations:
        spread = number(found.deviations["accuracy"])
        context.talk.say(f"mean of {len(found.seeds)} seeds, dense and pruned; accuracy {spread} standard deviation")
    if found.recorded:
        context.talk.say(f"recorded {found.policy.epochs} epochs in {found.recorded}")
        context.next("animate", "watch it being pruned", recording=found.recorded, to="network.gif")
    if found.written:
        context.talk.say(f"wrote {found.written}")
        _bundle(found.written, context)


def exported(folder: str, context: Context) -> None:
    """The bundle that was exported: its path on stdout."""
    sys.stdout.write(f"{folder}\n")
    _bundle(folder, context)


def _bundle(folder: str, context: Context) -> None:
    context.talk.say("policy.yaml, model.safetensors, architecture.json and card.md are in it")
    context.talk.command(f"cat {shlex.quote(folder)}/card.md", "figures, and how to load it")


def serving(dashboard: Callable[..., None], context: Context) -> None:
    """Serve until Ctrl-C, which is how it is meant to end."""
    try:
        dashboard(**context.given, listener=lambda url: context.talk.say(f"{url}  (Ctrl-C ends it)"))
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated):
            raise


def served(_nothing: None, context: Context) -> None:
    """The dashboard was closed."""
    context.talk.say("closed")


def findings(found: list[Finding], context: Context) -> None:
    """What the doctor found; a problem ends in exit code 6."""
    rows = [asdict(f) for f in found]
    columns = (Column("what", "what"), Column("state", "state"), Column("found", "found"), Column("advice", "advice"))
    marked = frozenset(i for i, f in enumerate(found) if f.state == "problem")
    emit(context.format, Table(columns, rows, marked=marked), lambda: {"findings": rows})
    if marked:
        raise typer.Exit(EnvironmentFailure.exit_code)


def _cost(found: Checked) -> list[tuple[str, str]]:
    info, study = found.info, found.study
    train, val, test = info.sizes
    lines = [
        ("study", study.name),
        ("task", f"{info.name} on {info.device}"),
        ("network", f"{info.params:,} parameters, {info.macs:,} multiply-accumulates"),
        ("examples", f"{train:,} to train, {val:,} to validate, {test:,} to test"),
        (
            "groups",
            f"{sum(g.spared is None for g in info.groups)} prunable of {len(info.groups)}: {', '.join(info.granularities)}",
        ),
        ("dimensions", f"{found.dimensions} searched at most"),
        ("memory", f"{found.peak_mb:,.0f} MB per worker"),
        ("one epoch", duration(found.seconds_per_epoch)),
        ("one trial", f"{duration(found.seconds_per_trial)} ({found.epochs} epochs)"),
        ("epochs", found.sharing),
        ("search", f"{study.trials} trials, {found.workers} at a time: about {duration(found.seconds)} of training"),
    ]
    if found.fitting is not None:
        lines.append(("timeout", f"about {found.fitting} trials fit into {duration(study.timeout)}"))
    return lines

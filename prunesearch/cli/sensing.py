"""The command `sensitivity`: a line of talk per network, then table, file and figure, and what the file is for."""

from __future__ import annotations

from collections.abc import Callable

from prunesearch.api.curving import Curve
from prunesearch.api.sensing import write_sensitivity
from prunesearch.cli import curving
from prunesearch.cli.build import Context
from prunesearch.cli.formats import emit
from prunesearch.errors import PrunesearchError
from prunesearch.report.heat import sensitivity_csv, sensitivity_table
from prunesearch.sensitivity import Sensitivity


def watched(sensitivity: Callable[..., Sensitivity | Curve], context: Context) -> Sensitivity | Curve:
    """Measure, and tell of every network; the figures are printed also where the file cannot be written in the end."""
    try:
        return curving.watched(sensitivity, context)
    except PrunesearchError as error:
        if isinstance(error.found, Sensitivity):
            _printed(error.found, context)
        raise


def sensed(found: Sensitivity | Curve, context: Context) -> None:
    """What every group loses; for whole networks what `curve` prints."""
    if isinstance(found, Curve):
        curving.drawn(found, context)
        return
    _printed(found, context)
    if context.given["plot"]:
        context.talk.say(f"wrote {write_sensitivity(found, context.given['plot'])}")
    to = context.given["to"]
    if to:
        context.talk.say(f"wrote {to}")
        context.next("search", "a search that begins with it", task=found.task, sensitivity=to)


def _printed(found: Sensitivity, context: Context) -> None:
    emit(context.format, sensitivity_table(found), found.to_dict, sensitivity_csv(found))

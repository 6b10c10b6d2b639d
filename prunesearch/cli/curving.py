"""The command `curve`: a line of talk per network, then the table, and the figure last, so that it can cost no figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prunesearch.api.curving import Curve
from prunesearch.cli.build import Context
from prunesearch.cli.console import Talk
from prunesearch.cli.formats import emit
from prunesearch.report.curve_table import curve_csv, curve_table
from prunesearch.report.words import number, percent
from prunesearch.sweeps import DenseMeasured, News, PointMeasured, Started

Found = TypeVar("Found")


def watched(curve: Callable[..., Found], context: Context) -> Found:
    """Measure, and tell of every network."""
    plot = context.given["plot"]
    if plot:
        from prunesearch.report.figures import figure_target

        figure_target(plot)
    try:
        return curve(**{**context.given, "plot": None}, listener=Heard(context.talk).hear)
    except KeyboardInterrupt:
        context.talk.say("the epochs that were trained are kept: the same command goes on from them")
        raise


def drawn(found: Curve, context: Context) -> None:
    """The points, and the figure where one was asked for."""
    info = found.sweep.info
    table = curve_table(
        found.points,
        found.dense,
        split=found.split,
        metric=info.metric,
        title=found.title,
        maximize=info.direction == "maximize",
    )
    emit(context.format, table, found.to_dict, curve_csv(found.points, found.dense))
    plot = context.given["plot"]
    if plot:
        context.talk.say(f"wrote {found.write(plot, context.given['axis'])}")


class Heard:
    """Tells what a sweep does, a line per network."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._jobs = 0

    def hear(self, news: News) -> None:
        """The listener of the sweep."""
        match news:
            case Started(info, jobs, at_once):
                self._jobs = jobs
                self._talk.say(f"{info.name}: {jobs} networks, {at_once} at a time, on {info.device}")
            case DenseMeasured(seed, result, done):
                accuracy = result.measures.accuracy if result.measures else None
                self._say(done, f"dense, seed {seed}: {number(accuracy)}")
            case PointMeasured(point, done):
                measures, reason = point.result.measures, point.result.reason
                gone = f"{percent(measures.sparsity)} of parameters removed" if measures else ""
                told = f"{number(measures.accuracy)} with {gone}" if measures else "no network"
                why = f" ({reason})" if reason else ""
                self._say(done, f"{point.series} at {percent(point.level)}, seed {point.seed}: {told}{why}")

    def _say(self, done: int, text: str) -> None:
        self._talk.say(f"{done:>{len(str(self._jobs))}}/{self._jobs}  {text}")

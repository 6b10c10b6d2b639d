"""From a stored study to its figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prunesearch.front import Front
from prunesearch.report.pareto import Point, Standing, pareto_figure
from prunesearch.report.tables import FIGURES, caveats
from prunesearch.report.words import policy_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from prunesearch.results import Measures
    from prunesearch.store import ExactRecord, Store, StudyRecord, TrialRecord


def study_figure(store: Store, study: StudyRecord, front: Front) -> Figure:
    """The Pareto figure of a stored study, with all trials that were measured.

    Beside a front that was measured again in exact numerics, every trial that was too has its exact figures; the others say
    that theirs are fast.
    """
    again = store.exact(study.name) if front.numerics == "remeasured" else None
    points = [_point(t, t.measures, front, again) for t in store.trials(study.name) if t.measures]
    count = f"{len(front)} {'policy' if len(front) == 1 else 'policies'} on the front of {len(points)} trials"
    metric = study.info.metric if study.info else "accuracy"
    return pareto_figure(points, front.dense, title=f"{study.name}: {count}{caveats(front)}", metric=metric)


def _point(trial: TrialRecord, measures: Measures, front: Front, again: Mapping[int, ExactRecord] | None) -> Point:
    """A trial's place; `measures`: its own; `again`: what was measured again in exact numerics, where the front was."""
    words, exact = policy_words(trial.policy), again.get(trial.number) if again else None
    feasible = exact.feasible if exact else trial.feasible
    if exact and exact.measures:
        measures = exact.measures
    elif again is not None:
        words = f"{words}<br>{FIGURES['fast']}"
    standing: Standing = "front" if trial.number in front.trials else "dominated" if feasible else "infeasible"
    return Point(trial.number, measures, standing, words)

"""From a stored study to its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunesearch.front import Front
from prunesearch.report.pareto import Point, Standing, pareto_figure
from prunesearch.report.words import policy_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from prunesearch.store import Store, StudyRecord, TrialRecord


def study_figure(store: Store, study: StudyRecord, front: Front) -> Figure:
    """The Pareto figure of a stored study, with all trials that were measured."""
    points = [_point(t, front) for t in store.trials(study.name) if t.measures]
    count = f"{len(front)} {'policy' if len(front) == 1 else 'policies'} on the front of {len(points)} trials"
    metric = study.info.metric if study.info else "accuracy"
    return pareto_figure([p for p in points if p], front.dense, title=f"{study.name}: {count}", metric=metric)


def _point(trial: TrialRecord, front: Front) -> Point | None:
    if trial.measures is None:
        return None
    standing: Standing = "front" if trial.number in front.trials else "dominated" if trial.feasible else "infeasible"
    return Point(trial.number, trial.measures, standing, policy_words(trial.policy))

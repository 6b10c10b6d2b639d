"""The front of a stored study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from prunesearch.front import Front, FrontRow, directions_of
from prunesearch.spec import StudySpec
from prunesearch.store.records import FrontRecord, StudyRecord, TrialRecord


def front_row(trial: TrialRecord, objectives: Iterable[str]) -> FrontRow | None:
    """A trial as a row for `Front.of`, None where not every objective was measured."""
    if trial.measures is None or any(getattr(trial.measures, name) is None for name in objectives):
        return None
    return FrontRow(
        trial.number,
        trial.measures,
        trial.policy,
        trial.digest,
        trial.seed,
        feasible=bool(trial.feasible),
        confirmed=trial.confirmed,
    )


def front_of(study: StudyRecord, trials: list[TrialRecord], last: FrontRecord | None = None) -> Front:
    """The front of a study's trials; its hypervolume is taken from `last` where that is the same front."""
    objectives = study.spec.get("objectives") or StudySpec.model_fields["objectives"].default
    rows = [row for trial in trials if (row := front_row(trial, objectives)) is not None]
    front = Front.of(
        rows,
        directions_of(objectives, study.info.direction if study.info else "maximize"),
        dense=study.dense.measures if study.dense else None,
        study=study.name,
        device=study.info.device if study.info else "",
    )
    same = last is not None and tuple(sorted(last.members)) == front.trials
    return replace(front, recorded=last.hypervolume) if last is not None and same else front

"""The front of a stored study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from prunesearch.front import Direction, Front, FrontRow, directions_of
from prunesearch.results import DENSE
from prunesearch.spec import StudySpec
from prunesearch.store.records import ExactRecord, FrontRecord, StudyRecord, TrialRecord


def row_of(record: TrialRecord) -> FrontRow:
    """A finished trial as a row of a front.

    Raises:
        ValueError: it measured nothing.
    """
    if record.measures is None:
        raise ValueError(f"trial {record.number} measured nothing")
    return FrontRow(
        record.number, record.measures, record.policy, record.digest, record.seed, bool(record.feasible), record.confirmed
    )


def front_of(
    study: StudyRecord,
    trials: list[TrialRecord],
    last: FrontRecord | None = None,
    exact: Mapping[int, ExactRecord] = MappingProxyType({}),
) -> Front:
    """The front of a study's trials.

    Args:
        study: the study with its dense reference.
        trials: those that are complete.
        last: the front that was recorded last; its hypervolume is taken where that is the same front.
        exact: what was measured again in exact numerics, by trial; the front of a study in fast numerics is that of its
            members' exact figures once all of them are known.
    """
    metric: Direction = study.info.direction if study.info else "maximize"
    objectives = study.spec.get("objectives") or StudySpec.model_fields["objectives"].default
    rows = [row_of(t) for t in trials if t.measures and all(getattr(t.measures, name) is not None for name in objectives)]
    front = Front.of(
        rows,
        directions_of(objectives, metric),
        dense=study.dense.measures if study.dense else None,
        study=study.name,
        device=study.info.device if study.info else "",
        metric=metric,
    )
    same = last is not None and tuple(sorted(last.members)) == front.trials
    front = replace(front, recorded=last.hypervolume) if last is not None and same else front
    return front if study.spec.get("numerics", "exact") == "exact" else _again(front, exact)


def _again(front: Front, exact: Mapping[int, ExactRecord]) -> Front:
    """The front in exact figures; as it is, and said to be fast, while one of them is missing."""
    dense = exact[DENSE].measures if DENSE in exact else None
    if dense is None or not all(row.trial in exact for row in front):
        return replace(front, numerics="fast")
    rows = [
        replace(row, measures=found.measures)
        for row in front
        if (found := exact[row.trial]).feasible and found.measures is not None
    ]
    again = Front.of(rows, front.directions, dense=dense, study=front.study, device=front.device, metric=front.metric)
    return replace(again, numerics="remeasured")

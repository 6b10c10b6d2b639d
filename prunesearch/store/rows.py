"""Between table rows and records. Floats that are not a number are stored as NULL, since JSON and SQLite have no NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from prunesearch.policy import Policy
from prunesearch.results import (
    DenseReference,
    EpochRow,
    GroupInfo,
    LatencySpec,
    LayerRow,
    Measures,
    Result,
    TaskInfo,
    Timings,
)
from prunesearch.store.records import FrontRecord, StudyRecord, Ticket, TrialRecord

Row = Mapping[Any, Any]
_NAN = float("nan")
_MEASURES = tuple(f.name for f in fields(Measures))
_REQUIRED = ("accuracy", "sparsity", "seconds")


def now() -> str:
    """The time, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def to_json(value: Any) -> str:
    """JSON text in which numbers that are not finite are null (PostgreSQL refuses NaN)."""
    return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(k): _finite(v) for k, v in value.items()}
        case list() | tuple():
            return [_finite(v) for v in value]
    return value


def real(value: float | None) -> float | None:
    """`value`, or None where it is not a number."""
    return None if value is None or math.isnan(value) else value


def _known(value: float | None) -> float:
    return _NAN if value is None else value


def measure_values(measures: Measures | None, prefix: str = "") -> dict[str, Any]:
    """Column values of measures; all None where there are none."""
    plain = measures.to_dict() if measures else dict.fromkeys(_MEASURES)
    return {prefix + name: real(value) for name, value in plain.items()}


def measures_of(row: Row, prefix: str = "") -> Measures | None:
    """Measures from columns, None where nothing was measured."""
    if row[f"{prefix}params"] is None:
        return None
    plain = {name: row[prefix + name] for name in _MEASURES}
    return Measures(**plain | {name: _known(plain[name]) for name in _REQUIRED})


def epoch_values(row: EpochRow) -> dict[str, Any]:
    """Column values of an epoch."""
    return {k: real(v) if isinstance(v, float) else v for k, v in asdict(row).items()}


def epoch_of(row: Row) -> EpochRow:
    """An epoch from columns or from JSON."""
    numbers = {k: _known(row[k]) for k in ("loss", "accuracy", "learning_rate", "sparsity", "seconds")}
    return EpochRow(epoch=row["epoch"], shared=bool(row["shared"]), **numbers)


def layer_of(row: Row) -> LayerRow:
    """A layer from columns or from JSON."""
    return LayerRow(row["name"], row["kind"], row["kept"], row["total"])


def task_of(plain: Row) -> TaskInfo:
    """A task's description from JSON."""
    groups = tuple(GroupInfo(**g | {n: tuple(g.get(n, ())) for n in ("members", "layers")}) for g in plain["groups"])
    tuples = {name: tuple(plain[name]) for name in ("sizes", "input_shape")}
    told = {name: value for name, value in plain.items() if name != "norms"}  # older rows have it; the groups know it now
    return TaskInfo(**{**told, **tuples, "groups": groups})


def dense_values(dense: DenseReference, seconds: float) -> dict[str, Any]:
    """Column values of the dense reference: measures as columns, the rest as JSON."""
    rest = {k: v for k, v in asdict(dense).items() if k != "measures"}
    return {"dense": rest | {"run_seconds": seconds}, **measure_values(dense.measures, "dense_")}


def dense_of(row: Row) -> DenseReference | None:
    """The dense reference of a study's row, None where it was not measured yet."""
    rest, measures = row["dense"], measures_of(row, "dense_")
    if rest is None or measures is None:
        return None
    return DenseReference(
        measures=measures,
        signature=rest["signature"],
        latency=LatencySpec(**rest["latency"]),
        epochs=tuple(epoch_of(e) for e in rest["epochs"]),
        layers=tuple(layer_of(x) for x in rest["layers"]),
        report=rest["report"],
    )


def study_of(row: Row) -> StudyRecord:
    """A study from its row."""
    return StudyRecord(
        id=row["id"],
        name=row["name"],
        spec=row["spec"],
        info=None if row["task"] is None else task_of(row["task"]),
        dense=dense_of(row),
        dense_seconds=None if row["dense"] is None else row["dense"]["run_seconds"],
        code_version=row["code_version"],
        environment=row["environment"],
        created_at=row["created_at"],
        active_at=row["active_at"],
    )


def ticket_of(row: Row) -> Ticket:
    """A ticket from its row."""
    return Ticket(row["id"], row["number"], row["state"], row["owner"], row["trial_number"])


def policy_of(plain: Row) -> Policy:
    """A policy as it was stored, unchecked: its criterion may be a plug-in's that a reading command does not load."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    return Policy.model_construct(None, **given)


def result_values(result: Result) -> dict[str, Any]:
    """Column values of a trial's result, without epochs and layers."""
    timings = {f"seconds_{k}": real(v) for k, v in asdict(result.timings).items()}
    same = ("state", "signature", "reason", "trace", "device", "latency_shared", "kept_in", "epochs_trained", "report")
    values = {name: getattr(result, name) for name in same}
    return values | {"notes": list(result.notes)} | timings | measure_values(result.measures)


def trial_of(row: Row, epochs: tuple[EpochRow, ...] = (), layers: tuple[LayerRow, ...] = ()) -> TrialRecord:
    """A trial from its row, which also holds its ticket's number as `ticket_number`."""
    same = (
        "number",
        "state",
        "digest",
        "seed",
        "feasible",
        "confirmed",
        "reason",
        "trace",
        "kept_in",
        "started_at",
        "finished_at",
    )
    timings = {f.name: row[f"seconds_{f.name}"] or 0.0 for f in fields(Timings)}
    return TrialRecord(
        **{name: row[name] for name in same},
        policy=policy_of(row["policy"]),
        ticket=row["ticket_number"],
        measures=measures_of(row),
        violations=row["violations"] or {},
        signature=row["signature"] or "",
        device=row["device"] or "",
        notes=tuple(row["notes"] or ()),
        latency_shared=bool(row["latency_shared"]),
        epochs_trained=row["epochs_trained"] or 0,
        report=row["report"] or {},
        timings=Timings(**timings),
        epochs=epochs,
        layers=layers,
    )


def front_of(row: Row) -> FrontRecord:
    """A front snapshot from its row."""
    return FrontRecord(row["after_trial"], tuple(row["members"]), row["hypervolume"], row["recorded_at"])

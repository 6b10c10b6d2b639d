"""Statements about networks that were trained again in exact numerics. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, inspect, select

import prunesearch.store.rows as rows
from prunesearch.results import Result
from prunesearch.store.records import ExactRecord
from prunesearch.store.schema import exact

_REST = ("signature", "device", "notes", "report", "kept_in", "epochs_trained", "latency_shared")


def record(
    connection: Connection, study: int, number: int, result: Result, violations: Mapping[str, float], feasible: bool
) -> bool:
    """Write a result; False, and nothing written, where there is one already."""
    if connection.scalar(select(exact.c.id).where(exact.c.study_id == study, exact.c.number == number)) is not None:
        return False
    rest: dict[str, Any] = {name: getattr(result, name) for name in _REST}
    values: dict[str, Any] = {"study_id": study, "number": number, "feasible": feasible}
    values |= {"state": result.state, "reason": result.reason}
    values |= {"violations": dict(violations), "result": rest | {"layers": [asdict(x) for x in result.layers]}}
    connection.execute(insert(exact).values(**values, **rows.measure_values(result.measures), finished_at=rows.now()))
    return True


def everything(connection: Connection, study: int) -> dict[int, ExactRecord]:
    """All results of a study by number; none in a database of a version that knew none."""
    if not inspect(connection).has_table(exact.name):
        return {}
    query = select(exact).where(exact.c.study_id == study).order_by(exact.c.number)
    return {row["number"]: _of(row) for row in connection.execute(query).mappings()}


def _of(row: rows.Row) -> ExactRecord:
    rest = {name: row["result"][name] for name in _REST}
    layers = tuple(rows.layer_of(x) for x in row["result"]["layers"])
    rest |= {"notes": tuple(rest["notes"]), "layers": layers, "reason": row["reason"]}
    result = Result(row["state"], rows.measures_of(row), **rest)
    return ExactRecord(row["number"], result, bool(row["feasible"]), row["violations"], row["finished_at"])

"""What commands return, laid out as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from prunesearch.front import Front, FrontRow
from prunesearch.report.findings import compare, maximizes, points_cell
from prunesearch.report.table import Column, Table
from prunesearch.report.words import number, percent, policy_words, times
from prunesearch.results import MEASURES, EpochRow, GroupInfo, LayerRow, Measures

VERSUS = {"accuracy": ("points", "vs dense"), "params": ("fewer", ""), "latency_ms": ("faster", ""), "macs": ("lighter", "")}
"""Measure -> the field of `Comparison` that stands beside it, and that column's title."""


FIGURES = {"fast": "figures of fast numerics", "remeasured": "found in fast numerics, measured again in exact"}
"""What is said of a front whose figures are not simply exact."""

UNCONFIRMED = "not confirmed over fresh seeds"
"""What is said of what was not repeated."""


def caveats(front: Front) -> str:
    """What is said of a front wherever it is shown, in brackets behind its name; empty where there is nothing to say."""
    told = [] if all(row.confirmed for row in front) else [UNCONFIRMED]
    told += [FIGURES[front.numerics]] if front.numerics in FIGURES else []
    return f" ({'; '.join(told)})" if told else ""


def studies_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Ready and stored studies."""
    columns = (
        Column("name", "study"),
        Column("where", "where"),
        Column("task", "task"),
        Column("finished", "done", number, right=True),
        Column("total", "trials", number, right=True),
        Column("active", "last written", lambda t: t[:16].replace("T", " ")),
        Column("description", "what it is for"),
    )
    return Table(columns, lines)


def front_table(front: Front) -> Table:
    """The front for the eye: its objectives, each against dense, the dense network first, the knee of the whole front named."""
    rows = [_dense_row(front.dense)] if front.dense else []
    whole = front if front.whole is None else front.whole
    knee = whole.knee().trial if len(whole) > 2 else None
    rows += [_front_row(row, front, "knee" if row.trial == knee else "") for row in front]
    title = f"Front of {front.study}{caveats(front)}"
    columns = [Column("trial", "trial", right=True), *_objective_columns(front), Column("mark", ""), Column("words", "policy")]
    return Table(tuple(columns), rows, title, frozenset({0} if front.dense else ()))


def front_csv(front: Front) -> Table:
    """The front for programs: every measure, and the policy as JSON."""
    names = ["trial", *MEASURES, "feasible", "confirmed", "seed", "digest", "policy"]
    return Table(tuple(Column(n, n) for n in names), [row.to_dict() for row in front])


def measures_table(measures: Measures, dense: Measures | None) -> Table:
    """All measures of one network, with the dense one's beside them."""
    plain, reference = measures.to_dict(), dense.to_dict() if dense else {}
    rows = [{"measure": n, "value": plain[n], "dense": reference.get(n), "meaning": m} for n, m in MEASURES.items()]
    columns = (
        Column("measure", "measure"),
        Column("value", "value", number, right=True),
        Column("dense", "dense", number, right=True),
        Column("meaning", "meaning"),
    )
    return Table(columns, rows)


def layers_table(layers: Sequence[LayerRow]) -> Table:
    """What was kept, group by group."""
    rows = [asdict(row) | {"share": row.kept / row.total if row.total else None} for row in layers]
    columns = (
        Column("name", "group"),
        Column("kind", "of"),
        Column("kept", "kept", number, right=True),
        Column("total", "total", number, right=True),
        Column("share", "share", percent, right=True),
    )
    return Table(columns, rows)


def epochs_table(epochs: Sequence[EpochRow]) -> Table:
    """One line per epoch."""
    columns = (
        Column("epoch", "epoch", right=True),
        Column("loss", "loss", number, right=True),
        Column("accuracy", "accuracy", number, right=True),
        Column("learning_rate", "learning rate", lambda v: f"{v:.3g}", right=True),
        Column("sparsity", "sparsity", percent, right=True),
        Column("seconds", "seconds", lambda v: number(v, 2), right=True),
    )
    return Table(columns, [asdict(row) for row in epochs])


def _objective_columns(front: Front) -> list[Column]:
    columns, change = [], partial(points_cell, maximize=maximizes(front))
    for name in front.directions:
        columns.append(Column(name, name, number, right=True))
        field, title = VERSUS.get(name, ("", ""))
        if field and front.dense:
            columns.append(Column(field, title, change if field == "points" else times, right=True))
    return columns


def _front_row(row: FrontRow, front: Front, mark: str) -> dict[str, Any]:
    compared = asdict(compare(row.measures, front.dense, maximize=maximizes(front))) if front.dense else {}
    return {"trial": row.trial, **row.measures.to_dict(), **compared, "mark": mark, "words": policy_words(row.policy)}


def _dense_row(dense: Measures) -> dict[str, Any]:
    return {"trial": "dense", **dense.to_dict(), "words": "the network as it is, not pruned"}


def groups_table(groups: Sequence[GroupInfo]) -> Table:
    """What can be pruned together."""
    rows = [asdict(group) | {"members": ", ".join(group.members)} for group in groups]
    columns = (
        Column("name", "group"),
        Column("kind", "of"),
        Column("size", "elements", number, right=True),
        Column("params", "parameters", number, right=True),
        Column("spared", "spared because"),
        Column("members", "tensors"),
    )
    return Table(columns, rows)


STATUS_WORDS = {"smallest_params": "smallest params within a point"}
"""Figures of a status whose name alone says too little."""


def status_table(plain: Mapping[str, Any]) -> Table:
    """How a study stands, one figure a line."""
    shown = {k: v for k, v in plain.items() if k not in ("states", "running", "unfinished")}
    shown |= {f"{state} trials": count for state, count in plain.get("states", {}).items()}
    shown |= {f"trial {number} runs since": since for number, since in plain.get("running", {}).items()}
    shown |= {f"trial {number} left unfinished, begun": since for number, since in plain.get("unfinished", {}).items()}
    rows = [{"what": STATUS_WORDS.get(k, k.replace("_", " ")), "value": _status_value(v)} for k, v in shown.items()]
    return Table((Column("what", "what"), Column("value", "")), rows)


def _status_value(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else value

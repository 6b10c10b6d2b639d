"""Precision, recall and F1 per class: the pruned network beside the dense one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prunesearch.report.table import Column, Table
from prunesearch.report.words import number

FIGURES = ("precision", "recall", "f1")
Report = Mapping[str, Any]
"""What `measure.accuracy.classification_report` gives; empty where there is none."""


def class_rows(pruned: Report, dense: Report) -> list[dict[str, Any]]:
    """One row per class, then the means: `class`, `support`, and each figure of both networks, such as `f1` and `dense_f1`.

    Args:
        pruned: of the pruned network; empty: only the dense one's figures are there.
        dense: of the dense network; empty: only the pruned one's.
    """
    ours, theirs = dict(_named(pruned)), dict(_named(dense))
    rows = []
    for name in ours or theirs:
        one, other = ours.get(name, {}), theirs.get(name, {})
        row: dict[str, Any] = {"class": name, "support": one.get("support", other.get("support"))}
        row |= {figure: one.get(figure) for figure in FIGURES}
        rows.append(row | {f"dense_{figure}": other.get(figure) for figure in FIGURES})
    return rows


def class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows of `class_rows` for the eye, dense and pruned side by side."""
    columns = [Column("class", "class"), Column("support", "support", number, right=True)]
    for figure in FIGURES:
        columns += [
            Column(f"dense_{figure}", f"dense {figure}", number, right=True),
            Column(figure, f"pruned {figure}", number, right=True),
        ]
    return Table(tuple(columns), list(rows), "Test split, class by class")


def _named(report: Report) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a report by name; a mean stands for all examples."""
    classes = report.get("classes", ())
    total = sum(row["support"] for row in classes)
    yield from ((str(row["class"]), row) for row in classes)
    yield from ((f"{kind} mean", {**report[kind], "support": total}) for kind in ("macro", "weighted") if kind in report)

"""Data on stdout: a table for the eye, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from prunesearch.cli.console import data_console
from prunesearch.cli.options import Format
from prunesearch.front import JSON_VERSION
from prunesearch.report.table import Table

KEYS = 2
"""Columns that say whose line it is: the first ones, which a table in several blocks repeats."""
FOLDED = 24
"""Room that a folded column has at least."""
GAP, EDGES = 3, 2
"""Room between two columns, and before the first and behind the last together."""


def emit(format: Format, table: Table, data: Callable[[], Mapping[str, Any]], wide: Table | None = None) -> None:
    """Print one outcome.

    Args:
        format: table, csv (both from `table`) or json (from `data`).
        table: the outcome as rows.
        data: makes the outcome with everything there is to say; called for json only.
        wide: what CSV has instead of `table`.
    """
    match format:
        case "json":
            emit_json(data())
        case "csv":
            _emit_csv(wide or table)
        case "table":
            emit_table(table)


def emit_json(data: Mapping[str, Any]) -> None:
    """Print JSON with a schema version; figures that are not finite are null."""
    text = json.dumps(_plain({"schema_version": JSON_VERSION, **data}), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def emit_table(table: Table) -> None:
    """Print a table for the eye. What a narrow terminal has no room for stands in a second table below; no cell is cut off."""
    console = data_console()
    needs = [_need(table, i) for i in range(len(table.columns))]
    for n, block in enumerate(_blocks(table, needs, console.width)):
        console.width = max(console.width, _across([needs[i] for i in block]))
        console.print(_laid_out(table, block, title=table.title if n == 0 else ""))


def _need(table: Table, i: int) -> int:
    """The least width of column `i`: that of its widest cell, or of a readable line where it may be folded."""
    column = table.columns[i]
    texts = [column.title, *(column.text(row) for row in table.rows)]
    widest = max(cell_len(line) for text in texts for line in text.split("\n"))
    return min(widest, FOLDED) if _folds(table, i) else widest


def _folds(table: Table, i: int) -> bool:
    """Whether column `i` may be folded: the last one where it has words, not figures."""
    return i == len(table.columns) - 1 and not table.columns[i].right


def _across(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1) + EDGES


def _blocks(table: Table, needs: Sequence[int], room: int) -> list[list[int]]:
    """Columns that have room beside each other; every block begins with those that say whose line it is."""
    blocks: list[list[int]] = [[]]
    for unit in _units(table):
        if len(blocks[-1]) > KEYS and _across([needs[i] for i in (*blocks[-1], *unit)]) > room:
            blocks.append([*range(KEYS)])
        blocks[-1] += unit
    return blocks


def _units(table: Table) -> list[list[int]]:
    """Columns that stay together: one without a word for its heading, such as `±`, says something of the one before."""
    units: list[list[int]] = []
    for i, column in enumerate(table.columns):
        if units and not any(letter.isalnum() for letter in column.title):
            units[-1].append(i)
        else:
            units.append([i])
    return units


def _laid_out(table: Table, block: Sequence[int], title: str) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, title_style="bold")
    columns = [table.columns[i] for i in block]
    for i, column in zip(block, columns, strict=True):
        folds = _folds(table, i)
        shown.add_column(column.title, justify="right" if column.right else "left", no_wrap=not folds, overflow="fold")
    for i, row in enumerate(table.rows):
        shown.add_row(*(Text(c.text(row)) for c in columns), style="bold" if i in table.marked else None)
    return shown


def _emit_csv(table: Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([c.key for c in table.columns])
    for row in table.rows:
        writer.writerow([_cell(row.get(c.key)) for c in table.columns])


def _cell(value: Any) -> Any:
    value = _plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    return value

"""Data on stdout: a table for the eye, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from prunesearch.cli.console import data_console
from prunesearch.cli.options import Format
from prunesearch.report.table import Table

SCHEMA_VERSION = 1
"""Version of the JSON that commands print; raised when a field changes its meaning or goes."""


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
    text = json.dumps(_plain({"schema_version": SCHEMA_VERSION, **data}), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def emit_table(table: Table) -> None:
    """Print a table for the eye. A column is as wide as it needs; on a narrow terminal the last one is folded."""
    shown = RichTable(box=box.SIMPLE_HEAD, title=table.title or None, title_justify="left", pad_edge=False, title_style="bold")
    for i, column in enumerate(table.columns):
        last = i == len(table.columns) - 1
        shown.add_column(column.title, justify="right" if column.right else "left", no_wrap=not last, overflow="fold")
    for i, row in enumerate(table.rows):
        shown.add_row(*(Text(c.text(row)) for c in table.columns), style="bold" if i in table.marked else None)
    data_console().print(shown)


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

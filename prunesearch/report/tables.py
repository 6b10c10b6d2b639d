"""What commands return, laid out as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prunesearch.report.table import Column, Table
from prunesearch.report.words import number


def studies_table(lines: Sequence[dict[str, Any]]) -> Table:
    """Ready and stored studies."""
    columns = (
        Column("name", "study"),
        Column("where", "where"),
        Column("task", "task"),
        Column("trials", "done", number, right=True),
        Column("of", "trials", number, right=True),
        Column("active", "last written", lambda t: t[:16].replace("T", " ")),
        Column("description", "what it is for"),
    )
    return Table(columns, lines)

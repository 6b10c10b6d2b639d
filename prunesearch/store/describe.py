"""The tables in words, for docs/store.md: `python -m prunesearch.store.describe docs/store.md` writes them anew there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sqlalchemy import Column, Table

from prunesearch.store.schema import metadata

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def describe() -> str:
    """All tables as Markdown: every column with its type, its key and what it means."""
    return "\n".join(_table(table) for table in metadata.sorted_tables)


def refreshed(text: str) -> str:
    """A page with its listing of tables, between the two markers, written anew."""
    pattern = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{describe()}\n{END}", text)


def _table(table: Table) -> str:
    head = f"### {table.name}\n\n{table.comment}\n\n| column | type | key | meaning |\n|---|---|---|---|\n"
    return head + "".join(_line(column) for column in table.columns)


def _line(column: Column[object]) -> str:
    keys = ["primary"] if column.primary_key else []
    keys += [f"→ {key.target_fullname}" for key in column.foreign_keys]
    keys += ["unique"] if column.unique else []
    needed = "" if column.nullable else " not null"
    return f"| {column.name} | {str(column.type).lower()}{needed} | {', '.join(keys)} | {column.comment} |\n"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")

"""A table before it is printed: the same rows become a table for the eye, CSV or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        key: the field of the row; what CSV calls the column.
        title: what the eye reads.
        show: the field in words; `str` by default.
        right: whether it is aligned to the right, as figures are.
    """

    key: str
    title: str
    show: Callable[[Any], str] = str
    right: bool = False

    def text(self, row: Row) -> str:
        """The cell in words; `-` where there is nothing."""
        value = row.get(self.key)
        return "-" if value is None or value == "" else self.show(value)


@dataclass(frozen=True)
class Table:
    """Rows under columns. `marked` rows stand out, such as the dense network's."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    title: str = ""
    marked: frozenset[int] = frozenset()

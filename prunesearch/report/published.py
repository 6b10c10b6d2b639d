"""Figures that others have published, read from a CSV file and drawn beside ours."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prunesearch.errors import UsageError, bulleted, did_you_mean

Axis = Literal["sparsity", "removed"]
"""What lies along x: the fraction of parameters removed, or of the weights or units."""
AXES: Mapping[Axis, str] = {"sparsity": "parameters removed", "removed": "weights or units removed"}
"""The axes and their titles."""

COLUMNS = ("series", "level", "accuracy", "axis")
HINT = "columns series,level,accuracy and, where it is not 'removed', axis; fractions in [0, 1]"


@dataclass(frozen=True)
class Published:
    """One published point.

    Args:
        series: whose line it is.
        level: what was removed, a fraction in [0, 1].
        accuracy: of the network that was left.
        axis: what `level` is a fraction of.
    """

    series: str
    level: float
    accuracy: float
    axis: Axis = "removed"


def read_published(path: str | Path) -> tuple[Published, ...]:
    """The points of a CSV file with the columns series, level, accuracy and, where given, axis.

    Raises:
        UsageError: the file cannot be read, or lines of it are not valid; with all that is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"cannot read '{path}': {reason}", HINT) from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    problems = _heading(reader.fieldnames or [])
    found = []
    for row in reader if not problems else ():
        try:
            found.append(_point(row))
        except ValueError as problem:
            problems.append(f"line {reader.line_num}: {problem}")
    if not problems and not found:
        problems = ["there are no points in it"]
    if problems:
        raise UsageError(f"{path}: {bulleted(problems)}", HINT)
    return tuple(found)


def _heading(names: object) -> list[str]:
    given = list(names) if isinstance(names, list | tuple) else []
    unknown = [f"column '{n}' is unknown; {did_you_mean(n, COLUMNS)}" for n in given if n not in COLUMNS]
    return unknown + [f"column '{n}' is missing" for n in COLUMNS[:3] if n not in given]


def _point(row: Mapping[str | None, str | None]) -> Published:
    level, accuracy = _number(row, "level"), _number(row, "accuracy")
    if not 0 <= level <= 1:
        raise ValueError(f"level: {level:g} is no fraction in [0, 1]" + ("; 50 % is 0.5" if level > 1 else ""))
    axis = (row.get("axis") or "removed").strip()
    if axis not in AXES:
        raise ValueError(f"axis: '{axis}' is unknown; {did_you_mean(axis, AXES)}")
    return Published((row.get("series") or "published").strip(), level, accuracy, "sparsity" if axis == "sparsity" else "removed")


def _number(row: Mapping[str | None, str | None], name: str) -> float:
    word = (row.get(name) or "").strip()
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name}: '{word}' is not a number")
    return value

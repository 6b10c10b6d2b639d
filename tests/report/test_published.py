"""Published points are read as they stand, and lines that are not valid are all told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunesearch.errors import UsageError
from prunesearch.report.published import Published, read_published


def test_points_are_read_with_and_without_an_axis(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text(
        "\ufeffseries, level, accuracy, axis\nKeras weight, 0.8, .979, removed\nHan, 0.92, 0.9841, sparsity\nK, 0, 1,\n"
    )
    assert read_published(file) == (
        Published("Keras weight", 0.8, 0.979),
        Published("Han", 0.92, 0.9841, "sparsity"),
        Published("K", 0.0, 1.0),
    )
    file.write_text("level,accuracy,series\n1,0.1,a\n")
    assert read_published(str(file)) == (Published("a", 1.0, 0.1, "removed"),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["column 'series' is missing", "column 'level' is missing"]),
        ("series,levle,accuracy\na,0.5,0.9\n", ["column 'levle' is unknown; did you mean 'level'?", "column 'level' is missing"]),
        ("series,level,accuracy\n", ["no points"]),
        ("series,level,accuracy\na,50,0.9\na,x,0.9\n", ["line 2: level: 50 is no fraction", "50 % is 0.5", "line 3: level: 'x'"]),
        ("series,level,accuracy\na,0.5,nan\na,0.5\n", ["line 2: accuracy: 'nan' is not a number", "line 3: accuracy: ''"]),
        ("series,level,accuracy,axis\na,0.5,0.9,remved\n", ["axis: 'remved' is unknown; did you mean 'removed'?"]),
    ],
)
def test_what_is_wrong_is_told_line_by_line(tmp_path: Path, text: str, told: list[str]) -> None:
    file = tmp_path / "p.csv"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_published(file)
    assert [part for part in told if part not in caught.value.message] == []
    assert "series,level,accuracy" in str(caught.value.hint)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read '.*no\.csv': No such file"):
        read_published(tmp_path / "no.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        read_published(tmp_path / "b.csv")

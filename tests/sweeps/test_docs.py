"""docs/curves.md says what is true: its options exist, its columns are those of the CSV, its blocks run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from prunesearch.cli.main import main
from prunesearch.cli.options import SPELLINGS
from prunesearch.report.published import read_published
from prunesearch.sweeps.curves import FIGURES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "curves.md").read_text(encoding="utf-8")
BLOCKS = {t.info: t.content for t in MarkdownIt().parse(TEXT) if t.type == "fence"}


def test_every_figure_is_told_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", TEXT.split("<!-- columns -->")[1], re.MULTILINE))
    assert {name: rows[name] for name in FIGURES} == dict(FIGURES)
    assert set(rows) - set(FIGURES) == {"series", "level", "granularity", "seeds", "reason"}


def test_every_option_exists() -> None:
    known = {flag for spelt in SPELLINGS.values() for flag in spelt.flags} | {"--format"}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known


def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(BLOCKS["bash"])
    assert main([*words[1:], "--engine", "serial"]) == 0
    assert "weight, l1" in capsys.readouterr().out
    assert (tmp_path / "curve.html").exists()
    (tmp_path / "points.csv").write_text(BLOCKS["text"])
    assert [p.axis for p in read_published("points.csv")] == ["removed", "sparsity"]
    exec(BLOCKS["python"].replace("epochs=5", "epochs=5, engine='serial'"), {})
    assert "neuron, l1" in capsys.readouterr().out

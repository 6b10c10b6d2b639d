"""docs/policies.md: its generated blocks are those of the code, and what it shows as policies are policies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from prunesearch import yamlfile
from prunesearch.catalogue import CRITERIA
from prunesearch.errors import UsageError
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.policy import Policy
from prunesearch.schedules import reference, table
from prunesearch.schedules.markdown import number, with_block

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "policies.md"
COMMAND = [sys.executable, "-m", "prunesearch.schedules.table"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: criteria that other tests register are no part of the page."""
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_page_is_what_the_code_says() -> None:
    done = run("--check", str(PAGE))
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_found_and_renewed(tmp_path: Path) -> None:
    stale = tmp_path / "policies.md"
    stale.write_text(PAGE.read_text(encoding="utf-8").replace("**0.4625**", "**0.5**"), encoding="utf-8")
    done = run("--check", str(stale))
    assert done.returncode == 1
    assert "policies.md is stale: run" in done.stderr
    assert run(str(stale)).returncode == 0
    assert stale.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_blocks_of_others_and_prose_are_left_alone() -> None:
    block = "<!-- generated: {} -->\n\n{}\n\n<!-- end of generated -->\n"
    page = "# Page\n\n" + block.format("mine", "old") + "prose\n" + block.format("other", "old and kept")
    assert with_block(page, "mine", "new") == page.replace("old\n", "new\n")


@pytest.mark.parametrize(
    "page", ["", "<!-- generated: mine -->\nwithout an end\n", "<!-- generated: mine2 -->\n<!-- end of generated -->"]
)
def test_a_page_without_the_block_is_an_error(page: str) -> None:
    with pytest.raises(UsageError, match="no block '<!-- generated: mine -->'"):
        with_block(page, "mine", "new")


def test_policies_on_the_page_are_policies() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [Policy.parse(yamlfile.parse(text, "page")).threshold for text in shown] == [0.8]


def test_methods_on_the_page_are_policies() -> None:
    """Each line of the table of papers, with what it leaves open at its default."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").split("\n## When")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 7
    for row in rows:
        fields = re.findall(r"`(\w+: \w+)`", row.split(" | ")[1].split("; or")[0])
        policy = Policy.parse({"epochs": 8} | yamlfile.parse("\n".join(fields), row))
        assert len(fields) >= 3 and policy.epochs == 8


def test_every_field_and_every_criterion_has_its_line() -> None:
    assert [line.split("`")[1] for line in reference.hyperparameters().splitlines()[2:]] == list(HYPERPARAMETERS)
    assert {line.split("`")[1] for line in reference.criteria().splitlines()[2:]} == set(CRITERIA)


def test_tables_are_rectangles() -> None:
    for name, body in table.BLOCKS.items():
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in body().splitlines()}
        assert len(widths) == 1, name


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.8, "0.8"), (0.41519, "0.4152"), (10, "10"), (1e-8, "1e-08"), (0.7000000000000001, "0.7"), (3.0, "3")],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown

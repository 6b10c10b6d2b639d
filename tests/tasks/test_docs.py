"""docs/tasks.md says what is true: references parse, figures are those of the networks, blocks run, no field is missing."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from prunesearch.engines.base import EngineSpec
from prunesearch.measure.params import count_dense
from prunesearch.policy import Policy
from prunesearch.results import Job
from prunesearch.tasks import Task, builtin_tasks, load_task
from prunesearch.tasks.builtin import _network
from prunesearch.tasks.reference import parse_reference
from prunesearch.trial import TrialRunner

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
BLOCKS = [t.content for t in MarkdownIt().parse(TEXT) if t.type == "fence"]


def section(title: str) -> list[list[str]]:
    """The cells of the table under a heading, its two first rows left out."""
    text = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_reference_parses_and_every_kind_is_there() -> None:
    kinds = {parse_reference(row[0].strip("`")).kind for row in section("How a task is named")}
    assert kinds == {"builtin", "python", "arrays", "folder"}


def test_every_built_in_task_is_there_with_its_parameters() -> None:
    told: dict[str, int] = {}
    for names, _, params in section("Built-in tasks"):
        told |= dict.fromkeys(re.findall(r"`([\w-]+)`", names), int(params.replace(",", "")))
    assert told.keys() == builtin_tasks().keys()
    for name, size in told.items():
        data, _, network = name.partition("-")
        assert count_dense(_network(data, network)[0]()) == size, name


def test_every_field_is_there() -> None:
    told = {name for row in section("A task of your own") for name in re.findall(r"`(\w+)`", row[0])}
    assert told == {field.name for field in fields(Task)}


@pytest.mark.parametrize("own_loop", [False, True])
def test_the_blocks_run(tmp_path: Path, own_loop: bool) -> None:
    (tmp_path / "my_task.py").write_text(BLOCKS[0] + BLOCKS[1])
    ref = f"{tmp_path / 'my_task.py'}:make_task"
    task = load_task(ref)
    scope: dict[str, object] = {}
    exec(BLOCKS[0] + BLOCKS[1], scope)
    loop = scope["train_epoch"]
    assert callable(loop)
    runner = TrialRunner.from_task(replace(task, train_epoch=loop if own_loop else None), EngineSpec(ref, device="cpu"))
    result = runner.run(Job(0, Policy.parse({"epochs": 5, "threshold": 0.5, "granularity": "neuron"}), 5, 0))
    assert result.state == "complete", result.reason
    assert result.measures is not None and result.measures.accuracy > 0.8

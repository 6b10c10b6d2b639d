"""The command `sensitivity`, and a search that begins with its file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import prunesearch as ps
from prunesearch.api.curving import Curve
from prunesearch.errors import UsageError
from prunesearch.sensitivity import Sensitivity
from tests.disk import full_disk

if TYPE_CHECKING:
    from tests.cli.conftest import Run

FAKE = ("sensitivity", "--task", "digits-cnn", "--engine", "fake", "--levels", "0,0.5,0.9")


def test_a_file_a_table_and_a_figure(run: Run, tmp_path: Path) -> None:
    ran = run(
        "sensitivity",
        "-t",
        "iris-mlp",
        "-e",
        "2",
        "--engine",
        "serial",
        "--levels",
        "0.5,0.25",
        "--to",
        "s.json",
        "--plot",
        "s.html",
    )
    assert ran.code == 0, ran.err
    assert "fc1" in ran.out and "1 point" in ran.out
    assert "prunesearch search --task iris-mlp --sensitivity s.json" in ran.err
    found = Sensitivity.load(tmp_path / "s.json")
    assert (found.task, found.ratios, found.epochs) == ("iris-mlp", (0.25, 0.5), 2)
    assert {c.kind for c in found.groups} == {"weight", "neuron"}
    assert "points of accuracy lost" in (tmp_path / "s.html").read_text()
    again = run("sensitivity", "-t", "iris-mlp", "--to", "s.json")
    assert (again.code, "s.json is there already" in again.err) == (2, True)


def test_json_and_csv(run: Run) -> None:
    plain = json.loads(run(*FAKE, "--format", "json", "--seeds", "2", "--granularity", "unit").out)
    assert plain["schema_version"] == 1
    assert (plain["ratios"], plain["seeds"]) == ([0.5, 0.9], [0, 1])
    assert [(g["group"], g["kind"]) for g in plain["groups"]] == [("conv1", "filter"), ("conv2", "filter"), ("fc1", "neuron")]
    assert all(len(g["drops"]) == len(g["deviations"]) == 2 for g in plain["groups"])
    rows = list(csv.DictReader(io.StringIO(run(*FAKE, "--format", "csv", "--granularity", "filter").out)))
    assert [(r["group"], r["ratio"]) for r in rows] == [("conv1", "0.5"), ("conv1", "0.9"), ("conv2", "0.5"), ("conv2", "0.9")]
    assert all(float(r["accuracy"]) < 1 for r in rows)


def test_progress_is_told_on_stderr(run: Run) -> None:
    ran = run(*FAKE, "--granularity", "filter", "--format", "csv")
    assert "5 networks" in ran.err and "5/5" in ran.err
    assert run(*FAKE, "--quiet").err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--levels", "0"), "at least one above 0"),
        (("--levels", "1.5"), "below 1"),
        (("--levels", "nan"), "levels"),
        (("--granularity", "filters"), "did you mean 'filter'"),
        (("--criterion", "l3"), "'l3' is unknown"),
        (("--retrain", "99"), "more than the 20 epochs"),
        (("--plot", "s.pdf"), ".html or .png"),
        (("--schedules", "--to", "s.json"), "leave one of them out"),
    ],
)
def test_bad_input_costs_nothing(run: Run, words: tuple[str, ...], message: str) -> None:
    ran = run(*FAKE, *words)
    assert ran.code in (2, 3)
    assert message in ran.err
    assert ran.out == ""


def test_whole_networks_are_those_of_curve() -> None:
    how: dict[str, Any] = {"engine": "fake", "seeds": 1, "epochs": 8}
    found = ps.sensitivity("digits-mlp", levels=(0.5,), schedules=True, **how)
    assert isinstance(found, Curve)
    assert len({p.series for p in found.points}) == 7
    assert found.points == ps.curve("digits-mlp", levels=(0.5,), schedules=True, **how).points
    with pytest.raises(UsageError, match="schedules decide themselves when they cut"):
        ps.sensitivity("digits-mlp", schedules=True, retrain=2, **how)


def test_whole_networks_on_the_command_line(run: Run) -> None:
    ran = run(*FAKE, "--schedules", "--seeds", "1", "--format", "json")
    assert ran.code == 0, ran.err
    assert {p["series"] for p in json.loads(ran.out)["points"]} >= {"rewind_pruning", "percentage, gradual"}


def test_a_search_begins_with_it(run: Run, tmp_path: Path) -> None:
    assert run(*FAKE, "--to", "s.json").code == 0
    search = ("search", "--task", "digits-cnn", "--engine", "fake", "--trials", "8", "--name", "seeded")
    first = run(*search, "--sensitivity", "s.json", "--format", "json")
    assert first.code == 0, first.err
    (tmp_path / "s.json").unlink()
    assert run("search", "seeded", "--more", "2").code == 0  # what the file held is stored
    changed = run(*search)
    assert changed.code == 3
    assert "sensitivity: was 6 groups of digits-cnn (" in changed.err and "is now not given" in changed.err


def test_another_tasks_file_and_none_at_all(run: Run) -> None:
    assert run(*FAKE, "--to", "s.json").code == 0
    search = ("search", "--task", "digits-mlp", "--engine", "fake", "--trials", "2", "--sensitivity")
    other = run(*search, "s.json")
    assert (other.code, "measured on another task, digits-cnn" in other.err) == (3, True)
    missing = run(*search, "t.json")
    assert (missing.code, "t.json: No such file" in missing.err) == (3, True)
    checked = run("check", "--task", "iris-mlp", "--sensitivity", "s.json")
    assert (checked.code, "measured on another task" in checked.err) == (3, True)


@pytest.mark.parametrize(("to", "code", "told"), [("a.txt/s.json", 6, "cannot write 'a.txt/s.json'"), ("kept", 2, "is a folder")])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_trained(
    run: Run, tmp_path: Path, to: str, code: int, told: str
) -> None:
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "kept").mkdir()
    ran = run(*FAKE, "--to", to, "--force")
    assert (ran.code, told in ran.err, "networks" in ran.err, ran.out) == (code, True, False, "")


def test_a_full_disk_costs_neither_the_table_nor_the_old_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("old")
    with full_disk(1_000):
        ran = run(*FAKE, "--to", "s.json", "--force")
    assert (ran.code, "cannot write 's.json'" in ran.err, "conv1" in ran.out) == (6, True, True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir() if p.suffix == ".json"] == [("s.json", "old")]
    assert not list(tmp_path.glob(".s.json*"))

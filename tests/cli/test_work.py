"""The commands that load networks: check, groups, run, export, doctor."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunesearch.api import doctoring
from prunesearch.cli.app import COMMANDS
from tests.disk import full_disk

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_check_says_what_a_search_would_cost(run: Run, tmp_path: Path) -> None:
    ran = run("check", "quickstart", "--timeout", "60", "--workers", "2", "--device", "cpu", "--format", "json")
    plain = json.loads(ran.out)
    assert (plain["study"], plain["params"], plain["workers"]) == ("quickstart", 17_226, 2)
    assert sum(plain["sizes"]) == 1797
    assert 0 < plain["seconds_per_epoch"] < 5
    assert plain["seconds_per_trial"] == pytest.approx(plain["epochs"] * plain["seconds_per_epoch"])
    assert plain["fitting"] > 0
    assert 100 < plain["peak_mb"] < 20_000
    assert plain["dimensions"] > 3
    assert list(tmp_path.glob("*.db")) == []
    assert "prunesearch search quickstart --timeout 60.0 --workers 2 --device cpu  " in ran.err


def test_check_ends_with_the_search_that_was_checked(run: Run, tmp_path: Path) -> None:
    ran = run("check", "--task", "iris-mlp", "--trials", "3", "--epochs", "2", "--seed", "7", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "prunesearch search --task iris-mlp --trials 3 --seed 7 --epochs 2 --device cpu  " in ran.err
    assert " of training" in ran.err


def test_what_init_writes_can_be_checked_and_searched(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "mine")
    assert run("check", "mine/my_study.yaml").code == 0
    ran = run("search", "mine/my_study.yaml", "--trials", "2", "--epochs", "8", "--engine", "serial")
    assert ran.code == 0, ran.err
    assert "2 of 2 trials" in ran.err


def test_groups_of_a_task_and_of_a_study(run: Run, url: str) -> None:
    told = run("groups", "--task", "digits-cnn", "--format", "csv").out
    kinds = {(row["name"], row["kind"]) for row in csv.DictReader(io.StringIO(told))}
    assert {("conv1", "weight"), ("conv1", "filter"), ("fc1", "neuron")} <= kinds
    stored = json.loads(run("groups", "small", "--store", url, "--format", "json").out)["groups"]
    assert [g["name"] for g in stored] == ["fc1", "out"]
    assert "fc3" in run("groups", "quickstart").out


def test_run_prints_one_row(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("epochs: 30\ngranularity: neuron\nthreshold: 0.25\nepoch_threshold: 20\n")
    ran = run("run", "p.yaml", "--task", "iris-mlp", "--epochs", "15", "--seeds", "2", "--to", "bundle")
    assert ran.code == 0, ran.err
    assert "made for 30 epochs; rescaled to 15: epoch_threshold 10" in ran.err
    assert "mean of 2 seeds, dense and pruned" in ran.err
    assert (tmp_path / "bundle" / "card.md").exists()
    assert "fc1" in ran.out


MEDDLER = """
from pathlib import Path
import torch
import prunesearch as ps
x, y = torch.randn(60, 4), torch.arange(60).fmod(3)
def evaluate(model, batches):
    Path("taken").mkdir(exist_ok=True)
    Path("taken/mine.txt").write_text("mine")
    return 0.75
def make_task():
    return ps.Task(model=lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)),
                   train=(x, y), epochs=1, evaluate=evaluate)
"""


@pytest.mark.parametrize(("taken", "free", "inside"), [("--record", "--to", "card.md"), ("--to", "--record", "recording.json")])
def test_what_appears_while_a_run_trains_is_kept_and_all_else_is_told(
    run: Run, tmp_path: Path, taken: str, free: str, inside: str
) -> None:
    (tmp_path / "meddler.py").write_text(MEDDLER)
    (tmp_path / "p.yaml").write_text("epochs: 1\nthreshold: 0.5\nepoch_threshold: 0\n")
    ran = run("run", "p.yaml", "--task", "meddler.py:make_task", taken, "taken", free, "free", "--force", "--format", "json")
    assert (ran.code, "error: 'taken' is there already" in ran.err) == (2, True), ran.err
    assert json.loads(ran.out)["accuracy"] == 0.75
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["mine.txt"]
    assert (tmp_path / "free" / inside).exists() and "free" in ran.err
    assert not list(tmp_path.glob(".*-*"))


@pytest.mark.parametrize("what", ["--record", "--to"])
def test_a_run_that_cannot_write_says_so_before_it_begins(run: Run, tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("epochs: 1\n")
    ran = run("run", "file", "--task", "a-task-that-nobody-loads", what, "file/there")
    assert (ran.code, "cannot write 'file/there'" in ran.err, "folder that you may write to" in ran.err) == (6, True, True)


def test_a_run_on_a_full_disk_ends_with_6(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("epochs: 1\nepoch_threshold: 0\nthreshold: 0.5\n")
    with full_disk(1_000):
        ran = run("run", "p.yaml", "--task", "iris-mlp", "--record", "rec")
    assert (ran.code, "File too large" in ran.err, "network's or the policy's own" in ran.err) == (6, True, False)


def test_export_prints_the_folder(run: Run, tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 's.db'}")
    assert run("search", "--task", "iris-mlp", "--trials", "2", "--epochs", "2", "--engine", "serial", *store).code == 0
    ran = run("export", "iris-mlp", "--by", "params", *store)
    assert ran.code == 0, ran.err
    folder = tmp_path / ran.out.strip()
    assert (folder / "model.safetensors").exists()
    again = run("export", "iris-mlp", "--by", "params", *store)
    assert (again.code, "there already" in again.err) == (2, True)


def test_doctor_finds_what_is_there(run: Run, url: str) -> None:
    ran = run("doctor", "--store", url, "--format", "json")
    found = {f["what"]: f for f in json.loads(ran.out)["findings"]}
    assert ran.code == 0
    assert found["torch"]["state"] == found["device"]["state"] == found["store"]["state"] == "ok"
    assert "1 studies" in found["store"]["found"]


def test_doctor_ends_with_6_where_something_is_wrong(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctoring, "PACKAGES", ("torch", "no-such-package"))
    ran = run("doctor", "--device", "cuda:9", "--store", "sqlite:////nowhere/x.db")
    assert ran.code == 6
    for told in ("no-such-package", "pip install", "cuda:9", "--device cpu", "no folder"):
        assert told in ran.out


def test_the_dashboard_of_a_store_that_is_not_there(run: Run) -> None:
    assert run("dashboard", "--store", "sqlite:///none.db").code == 4


def test_all_commands_of_the_design_are_there() -> None:
    wanted = "init check search studies status front show run curve sensitivity groups export animate dashboard doctor version"
    assert set(wanted.split()) == COMMANDS

"""The command `curve`: table, CSV, JSON and figure; bad input costs nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import prunesearch as ps
from prunesearch.api import curving
from prunesearch.errors import EnvironmentFailure, PolicyError
from prunesearch.report.published import AXES
from prunesearch.sweeps import News, PointMeasured

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
FAST = ("--task", "iris-mlp", "--epochs", "3", "--engine", "serial", "--device", "cpu", "--levels", "0,.5,.9", "--seeds", "2")
FAKE = ("--task", "digits-cnn", "--engine", "fake", "--seeds", "1")


def test_a_curve_as_csv_with_its_figure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("series,level,accuracy\nsomebody,0.5,0.9\n")
    ran = run("curve", *FAST, "--plot", "c.html", "--against", "p.csv", "--format", "csv")
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(r["series"], r["level"]) for r in rows] == [
        ("dense", "0.0"),
        *((s, k) for s in ("weight, l1", "neuron, l1") for k in ("0.0", "0.5", "0.9")),
    ]
    assert all(float(r["test_loss"]) > 0 and float(r["accuracy_sd"]) >= 0 for r in rows)
    assert rows[2]["removed"] == "0.5"
    assert rows[2]["latency_ms"] == ""
    assert "10 networks" in ran.err
    assert "10/10  " in ran.err
    assert "% of parameters removed" in ran.err
    assert "wrote c.html" in ran.err
    html = (tmp_path / "c.html").read_text()
    assert [text for text in ("weight, l1", "neuron, l1", "somebody", *AXES.values()) if text not in html] == []


def test_the_same_command_trains_nothing_again_and_gives_the_same_figures(run: Run) -> None:
    first, second = (json.loads(run("curve", *FAST, "--format", "json", "-q").out) for _ in range(2))
    assert {r["epochs_trained"] for r in first["runs"] if r["series"] == "dense"} == {3}
    assert {r["epochs_trained"] for r in second["runs"]} == {0}
    assert first["points"] == second["points"]
    assert (first["split"], first["metric"], first["seeds"], first["epochs"]) == ("test", "accuracy", [0, 1], 3)
    assert {r["seed"] for r in first["runs"]} == {0, 1}
    half = next(p for p in first["points"] if (p["series"], p["level"]) == ("weight, l1", 0.5))
    each = [r["test_accuracy"] for r in first["runs"] if (r["series"], r["level"]) == ("weight, l1", 0.5)]
    assert half["test_accuracy"] == pytest.approx(sum(each) / 2)


def test_policies_are_lines_of_their_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ramp.yaml").write_text("epochs: 6\nfunction: gradual\nthreshold: 0.5\nconverge_over: 4\n")
    (tmp_path / "once.yaml").write_text("epochs: 10\ngranularity: filter\nthreshold: 0.5\n")
    lines = ("--policy", "ramp.yaml", "--policy", "once.yaml", "--policy", "ramp.yaml")
    plain = json.loads(run("curve", *FAKE, *lines, "-k", ".5,.9", "-e", "10", "--format", "json").out)
    assert [p["series"] for p in plain["points"]] == ["ramp"] * 2 + ["once"] * 2 + ["ramp (2)"] * 2
    told = {(r["series"], r["level"]): r["policy"] for r in plain["runs"] if r["policy"]}
    assert (told["ramp", 0.9]["threshold"], told["ramp", 0.9]["converge_over"]) == (0.9, 7)
    assert told["once", 0.5]["granularity"] == "filter"


def test_all_schedules_are_seven_lines(run: Run) -> None:
    ran = run("curve", *FAKE, "--schedules", "-k", ".1,.9", "-e", "12", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert len({r["series"] for r in rows} - {"dense"}) == 7
    both = run("curve", *FAKE, "--schedules", "-k", ".5", "-e", "12", "--granularity", "weight", "--granularity", "unit").out
    assert "weight, percentage, gradual" in both
    assert "unit, rewind_pruning" in both
    words = ("--criterion", "l1", "--criterion", "l2", "--scope", "layer", "--scope", "global")
    every = run("curve", *FAKE, "--schedules", "-k", ".5", "-e", "12", *words, "--format", "json").out
    made = {(r["series"], r["policy"]["criterion"], r["policy"].get("scope")) for r in json.loads(every)["runs"] if r["policy"]}
    assert {("l1, global, rewind_pruning", "l1", "global"), ("l2, layer, percentage, gradual", "l2", "layer")} <= made
    assert len(made) == 7 * 4


def test_everything_the_network_has_is_drawn_where_nothing_is_said(run: Run) -> None:
    out = run("curve", *FAKE, "-k", ".5").out
    assert "weight, l1" in out
    assert "unit, l1" in out
    assert "filter, l1" not in out


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("-k", "0,50,90"), 2, ["0,0.5,0.9", "not percent"]),
        (("-k", ""), 2, ["at least one"]),
        (("--granularity", "neurn"), 2, ["did you mean 'neuron'?"]),
        (("--criterion", "l3"), 3, ["criterion", "'l3' is unknown"]),
        (("--scope", "globl"), 3, ["scope"]),
        (("--retrain", "99", "-e", "5"), 2, ["99 is more than the 5 epochs"]),
        (("--retrain", "2", "--schedules"), 2, ["leave --retrain out"]),
        (("--policy", "mine.yaml", "--retrain", "5"), 2, ["policies say themselves", "leave --retrain out"]),
        (("--policy", "mine.yaml", "--criterion", "l1", "--scope", "layer"), 2, ["leave --criterion and --scope out"]),
        (("--policy", "none.yaml"), 3, ["none.yaml"]),
        (("--against", "none.csv"), 2, ["cannot read 'none.csv'"]),
        (("--plot", "x.svg"), 2, [".html or .png"]),
        (("--plot", "no/x.html"), 6, ["no such folder"]),
        (("--task", "digits-cn"), 3, ["digits-cnn"]),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(
    run: Run, tmp_path: Path, given: tuple[str, ...], code: int, told: list[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("epochs: 10\nthreshold: 0.5\n")
    ran = run("curve", *FAKE, *given)
    assert ran.code == code, ran.err
    assert [part for part in told if part not in ran.err] == []
    assert "networks" not in ran.err
    assert ran.out == ""


def test_a_granularity_that_the_network_has_not(run: Run) -> None:
    ran = run("curve", "--task", "iris-mlp", "--engine", "fake", "--granularity", "filter", "-k", ".5")
    assert ran.code == 3
    assert "'filter' is nothing that iris-mlp has" in ran.err


def test_a_point_without_a_network_is_told_and_the_rest_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("epochs: 3\nthreshold: 0.5\nonly: [fc1]\n")
    ran = run("curve", *FAST, "--policy", "tiny.yaml", "-k", "0.001,.5", "--format", "json")
    first, second = json.loads(ran.out)["points"]
    assert ran.code == 0
    assert "the policy removed nothing" in first["reason"]
    assert second["accuracy"] is not None
    assert "the policy removed nothing" in ran.err


def test_ctrl_c_says_that_nothing_is_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from prunesearch.cli.curving import Heard

    def stop(self: Heard, news: News) -> None:
        if isinstance(news, PointMeasured):
            raise KeyboardInterrupt

    monkeypatch.setattr(Heard, "hear", stop)
    ran = run("curve", *FAST)
    assert ran.code == 130
    assert "the same command goes on" in ran.err


def test_figures_are_printed_although_the_picture_fails(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.html").mkdir()
    ran = run("curve", *FAKE, "-k", ".5", "--plot", "c.html")
    assert ran.code == EnvironmentFailure.exit_code
    assert "weight, l1" in ran.out
    assert "cannot write 'c.html'" in ran.err


def test_policies_of_python_are_called_by_what_they_do() -> None:
    policy = ps.Policy(epochs=10, threshold=0.5, function="gradual", converge_over=3, scope="global")
    found = curving.curve("digits-mlp", levels=[0.5], policies=[policy, policy], engine="fake", seeds=1)
    assert [p.series for p in found.points] == [
        "weight, global l1, gradual (cubic) over epochs 0-3",
        "weight, global l1, gradual (cubic) over epochs 0-3 (2)",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_HOME": str(tmp_path / "home")}
    words = ["curve", "--task", "iris-mlp", "--epochs", "100000", "--levels", "0.5", "--seeds", "1", "--engine", "serial"]
    process = subprocess.Popen([sys.executable, "-m", "prunesearch", *words], stderr=subprocess.PIPE, text=True, env=env)
    assert process.stderr
    assert "networks" in process.stderr.readline()
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == code, told
    assert told.splitlines()[-1] == "stopped"
    assert "the same command goes on" in told
    assert "Traceback" not in told


NAMED = """
import torch
import prunesearch as ps
def make_task():
    x, y = torch.randn(60, 4), torch.arange(60) % 3
    net = lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    return ps.Task(model=net, train=(x, y), epochs=1, name="a name of its own")
"""


@pytest.mark.parametrize("words", [("run", "none.yaml"), ("curve", "--policy", "none.yaml", "-k", ".5", "--engine", "serial")])
def test_hints_name_the_task_as_it_was_given(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "my_task.py").write_text(NAMED)
    (tmp_path / "none.yaml").write_text("epochs: 1\nthreshold: 0.5\nonly: [nothing]\n")
    ran = run(*words, "--task", "my_task.py:make_task")
    assert (ran.code, "'prunesearch groups --task my_task.py:make_task' lists them" in ran.err) == (3, True), ran.err


def test_hints_name_no_task_that_only_this_process_has() -> None:
    scope: dict[str, Any] = {}
    exec(f"{NAMED}\ntask = make_task()", scope)
    with pytest.raises(PolicyError) as caught:
        ps.curve(scope["task"], levels=[0.5], policies=[ps.Policy(epochs=1, threshold=0.5, only=("nothing",))], seeds=1)
    assert "prunesearch groups" not in str(caught.value.hint)

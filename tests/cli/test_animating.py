"""`run --record`, `animate` and `show --full`, from the shell."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image as Pictures

from prunesearch.api import animating
from prunesearch.recordings import Recording
from tests.disk import full_disk
from tests.recordings.made import cnn_recording, mlp_recording

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
POLICY = "epochs: 4\nfunction: gradual\nscope: global\nthreshold: 0.6\nepoch_threshold: 0\nconverge_over: 3\n"


def frames_of(path: Path) -> int:
    with Pictures.open(path) as found:
        return int(found.n_frames)  # type: ignore[attr-defined]


def test_a_run_is_recorded_and_drawn(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    ran = run("run", "p.yaml", "--task", "moons-mlp", "--record", "rec", "--format", "json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["recorded"] == "rec"
    assert "recorded 4 epochs in rec" in ran.err
    drawn = run("animate", "rec", "--what", "network", "--what", "weights", "--to", "out", "--width", "400", "--format", "json")
    assert drawn.code == 0, drawn.err
    rows = json.loads(drawn.out)["pictures"]
    assert [(row["what"], row["frames"]) for row in rows] == [("network", 5), ("weights", 5)]
    for row in rows:
        assert frames_of(tmp_path / row["path"]) == 5
        assert row["bytes"] == (tmp_path / row["path"]).stat().st_size < 2_000_000
    again = run("run", "p.yaml", "--task", "moons-mlp", "--record", "rec")
    assert (again.code, "there already" in again.err, "--force" in again.err) == (2, True, True)
    assert run("run", "p.yaml", "--task", "moons-mlp", "--record", "rec", "--force", "--seed", "1").code == 0
    assert Recording.read(tmp_path / "rec").about["seed"] == 1


def test_a_stored_trial_is_run_again_and_drawn(run: Run, tmp_path: Path) -> None:
    assert run("search", "--task", "iris-mlp", "--trials", "2", "--epochs", "3", "--engine", "serial").code == 0
    drawn = run("animate", "--trial", "1", "--what", "weights", "--to", "w.gif", "--width", "400")
    assert drawn.code == 0, drawn.err
    assert "running trial 1 of iris-mlp again" in drawn.err
    assert frames_of(tmp_path / "w.gif") >= 4
    assert run("animate", "--study", "iris-mlp", "--frame", "last", "--to", "last.png", "--width", "400").code == 0
    (tmp_path / "file").write_text("mine")
    told = run("animate", "--trial", "1", "--to", "file/w.gif")
    assert (told.code, "cannot write 'file/w.gif'" in told.err, "again" in told.err) == (6, True, False)
    told = run("animate", "--trial", "9")
    assert (told.code, "no trial 9" in told.err) == (3, True)


def test_a_picture_that_finds_no_room_leaves_the_one_that_is_there(run: Run, tmp_path: Path) -> None:
    mlp_recording(tmp_path / "rec")
    (tmp_path / "a.gif").write_text("mine")
    with full_disk(1_000):
        ran = run("animate", "rec", "--to", "a.gif", "--force", "--width", "400")
    assert (ran.code, "cannot write 'a.gif'" in ran.err) == (6, True), ran.err
    assert (tmp_path / "a.gif").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "rec"]


def test_single_frames(run: Run, tmp_path: Path) -> None:
    mlp_recording(tmp_path / "rec")
    for frame in ("first", "1", "last"):
        assert run("animate", "rec", "--frame", frame, "--to", f"{frame}.png", "--width", "400").code == 0
    pictures = {(tmp_path / f"{frame}.png").read_bytes() for frame in ("first", "1", "last")}
    assert len(pictures) == 3
    with Pictures.open(tmp_path / "1.png") as found:
        assert found.size[0] == 400


WRONG = [
    ("animate nowhere", 2, "there is no folder 'nowhere'", "--record"),
    ("animate empty", 2, "not a recording", "--record"),
    ("animate hurt --to a.gif", 2, "is damaged", "record the run again"),
    ("animate rec --what filters", 2, "no two-dimensional convolution", "network or weights"),
    ("animate rec --what netwrok", 2, "'netwrok' cannot be drawn", "did you mean 'network'?"),
    ("animate rec --to there.gif", 2, "'there.gif' is there already", "--force"),
    ("animate rec --to empty.gif --force", 2, "'empty.gif' is there already", "names a file"),
    (f"animate rec --to {'long' * 100}.gif", 6, "cannot write", "a folder that you may write to"),
    ("animate rec --what network --what weights --to a.gif", 2, "is one file", "give a folder"),
    ("animate rec --to a.png", 2, "holds one frame", "--frame last"),
    ("animate rec --frame last --to a.gif", 2, "one frame is a .png", "leave --frame out"),
    ("animate rec --frame 77", 2, "there is no '77'", "from -1 to 2"),
    ("animate rec --to there.txt", 2, "neither a folder nor", "one of these"),
    ("animate rec --to new.pdf", 2, "neither a folder nor", "one of these"),
    ("animate rec --trial 3", 2, "two things", "one of them"),
    ("animate rec --width 100000", 2, "100,000 pixels are more than 4,096", "--width 4096"),
    ("animate rec --fps 0", 2, "--fps", "animate --help"),
    ("animate --trial 1 --knee", 2, "in different ways", "one of them"),
    ("animate --trial 1", 4, "none.db", "search"),
    ("run p.yaml --task moons-mlp --record empty --force", 2, "there already", "no recording"),
]


@pytest.mark.parametrize(("line", "code", "message", "hint"), WRONG)
def test_wrong_requests_end_in_words(
    run: Run, tmp_path: Path, line: str, code: int, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNESEARCH_STORE", "sqlite:///none.db")
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.gif").mkdir()
    (tmp_path / "there.gif").write_text("mine")
    (tmp_path / "there.txt").write_text("mine")
    mlp_recording(tmp_path / "rec")
    mlp_recording(tmp_path / "hurt")
    (tmp_path / "hurt" / "0002.safetensors").write_bytes(b"no")
    ran = run(*shlex.split(line))
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert message in ran.err
    assert hint in ran.err
    assert "Traceback" not in ran.err
    assert (tmp_path / "there.gif").read_text() == "mine"
    assert not (tmp_path / "a.gif").exists()


def test_what_is_not_installed_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlp_recording(tmp_path / "rec")
    monkeypatch.setattr(animating, "PACKAGES", {"no_such_module": "matplotlib"})
    ran = run("animate", "rec")
    assert (ran.code, "pip install matplotlib" in ran.err) == (6, True)


def test_drawing_needs_no_torch(tmp_path: Path) -> None:
    cnn_recording(tmp_path / "rec")
    code = (
        "import sys; from prunesearch.cli.main import main; "
        "code = main(['animate', 'rec', '--what', 'filters', '--what', 'network', '--width', '400', '--quiet']); "
        "print(code, [m for m in ('torch', 'torchvision', 'sqlalchemy', 'optuna') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_show_full_tells_every_class(run: Run) -> None:
    assert run("search", "--task", "iris-mlp", "--trials", "1", "--epochs", "3", "--engine", "serial").code == 0
    rows = list(csv.DictReader(io.StringIO(run("show", "--trial", "0", "--full", "--format", "csv").out)))
    assert [row["class"] for row in rows] == ["0", "1", "2", "macro mean", "weighted mean"]
    assert [row["support"] for row in rows] == ["10", "10", "10", "30", "30"]
    plain = json.loads(run("show", "--trial", "0", "--full", "--format", "json").out)
    assert [str(row["f1"]) for row in plain["classes"]] == [row["f1"] for row in rows]
    assert plain["classes"][0]["dense_recall"] == plain["study"]["dense"]["report"]["classes"][0]["recall"]
    assert plain["classes"][0]["recall"] == plain["trial"]["report"]["classes"][0]["recall"]
    table = run("show", "--trial", "0", "--full").out
    for told in ("dense recall", "pruned recall", "weighted mean", "learning rate", "fc1"):
        assert told in table
    assert "classes" not in json.loads(run("show", "--trial", "0", "--format", "json").out)
    study = run("show", "--full").out
    assert "weighted mean" in study and "learning rate" in study


def test_show_full_says_where_there_are_no_classes(run: Run, url: str) -> None:
    assert "no figures of classes are stored" in run("show", "--store", url, "--trial", "1", "--full").err

"""The command `search`, on the engine that invents its figures, and once for real."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunesearch.cli.build import Context, command_line
from prunesearch.cli.console import Talk
from prunesearch.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
FAKE = ("--engine", "fake")


def test_a_pipe_gets_a_line_per_trial_and_the_front_at_the_end(run: Run) -> None:
    ran = run("search", "quickstart", "--trials", "10", *FAKE)
    assert ran.code == 0
    lines = ran.err.splitlines()
    assert len([x for x in lines if re.match(r"\[ ?\d+/10\] trial \d+", x)]) == 10
    assert ran.out.startswith("Front of quickstart (not confirmed over fresh seeds)")
    assert "10 of 10 trials in the store" in ran.err
    assert re.search(r"^\d.*x fewer parameters, .*: trial \d+, .*\.$", ran.err, re.MULTILINE)
    assert "prunesearch export quickstart" in ran.err
    assert "prunesearch dashboard quickstart" in ran.err


NEXT = [
    ("search quickstart --trials 6 --engine fake", ["show", "export", "dashboard", "search"]),
    ("status small", ["search", "front"]),
    ("front small", ["show", "export"]),
    ("show small", ["front"]),
    ("show small --trial 0", ["export"]),
    ("studies", ["search", "studies"]),
    ("studies copy small 'my small.yaml'", ["check"]),
]


@pytest.mark.parametrize(("words", "names"), NEXT)
def test_the_commands_to_type_next_run_as_they_are_told(
    run: Run, fill: Callable[..., None], tmp_path: Path, words: str, names: list[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'a b.db'}"
    fill(url)
    said = run(*shlex.split(words), "--store", url).err
    lines = [re.split(r"  +", line.strip())[0] for line in said.splitlines() if line.startswith("  prunesearch ")]
    told = [shlex.split(line)[1:] for line in lines]
    assert [command for command, *_ in told] == names
    for command, *rest in told:
        assert rest[rest.index("--store") + 1] == url
        if command in ("show", "front") or "--more" in rest:
            assert run(command, *rest, *(FAKE if command == "search" else ())).code == 0


def test_commands_to_type_next_find_data_and_plug_ins_where_this_one_did(capsys: pytest.CaptureFixture[str]) -> None:
    context = Context("table", Talk(), False, {"data_dir": "my data", "plugin": ["a.py"], "device": "cpu"})
    context.next("export", "to ship", study="s", trial=3)
    context.next("show", "all about it", study="s", trial=3)
    told = [" ".join(line.split("  ")[1:2]) for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "prunesearch export s --trial 3 --data-dir 'my data' --plugin a.py",
        "prunesearch show s --trial 3",
    ]


def test_json_at_the_end_is_the_front(run: Run) -> None:
    ran = run("search", "quickstart", "--trials", "6", *FAKE, "--format", "json", "--quiet")
    assert ran.err == ""
    assert json.loads(ran.out) == json.loads(run("front", "--format", "json").out)


def test_a_second_run_goes_on_and_a_third_says_it_is_done(run: Run) -> None:
    run("search", "quickstart", "--trials", "4", *FAKE)
    again = run("search", "quickstart", "--trials", "9", *FAKE)
    assert "goes on with 4 of 9 trials" in again.err
    assert "5 now" in again.err
    done = run("search", "quickstart", *FAKE)
    assert done.code == 0
    assert "9 of 9 trials in the store" in done.err
    assert "now in" not in done.err
    assert "--more 9" in done.err


def test_a_total_is_never_below_what_is_in_the_store(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("task: digits-mlp\ntrials: 4\nengine: fake\n")
    assert run("search", "mine.yaml").code == run("search", "mine.yaml", "--more", "6").code == 0
    again = run("search", "mine.yaml")
    assert "10 of 10 trials in the store" in again.err and "--more 10" in again.err
    assert json.loads(run("status", "--format", "json").out)["total"] == 10
    assert "12 of 12 trials in the store" in run("search", "mine.yaml", "--more", "2").err


def test_a_dry_run_says_that_it_is_one(run: Run, tmp_path: Path) -> None:
    ran = run("search", "quickstart", "--trials", "6", "--dry-run")
    assert "all figures are invented, and nothing is stored" in ran.err
    assert "nothing was trained or stored" in ran.err
    assert not list(tmp_path.glob("*.db"))


def test_a_task_alone_is_enough(run: Run) -> None:
    assert run("search", "--task", "moons-mlp", "--trials", "3", *FAKE, "--name", "two").code == 0
    assert json.loads(run("status", "two", "--format", "json").out)["task"] == "moons-mlp"


def test_an_edited_space_is_refused_with_a_diff(run: Run, tmp_path: Path) -> None:
    study = tmp_path / "mine.yaml"
    study.write_text("task: digits-mlp\ntrials: 3\nengine: fake\nspace: {threshold: [0.3, 0.9]}\n")
    assert run("search", "mine.yaml").code == 0
    study.write_text("task: digits-mlp\ntrials: 3\nengine: fake\nspace: {threshold: [0.3, 0.8]}\n")
    before = run("status", "--format", "json").out
    ran = run("search", "mine.yaml")
    assert ran.code == 3
    assert "space.threshold: was [0.3, 0.9], is now [0.3, 0.8]" in ran.err
    assert "--as NEW" in ran.err
    assert run("status", "--format", "json").out == before
    assert run("search", "mine.yaml", "--as", "mine2").code == 0


def test_a_timeout_ends_in_order(run: Run) -> None:
    ran = run("search", "quickstart", "--timeout", "0.001", *FAKE)
    assert ran.code in (0, 5)
    assert "Traceback" not in ran.err


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("search",), 2, "nothing to search was named"),
    (("search", "quikstart"), 3, "did you mean 'quickstart'?"),
    (("search", "quickstart", "--workers", "many"), 2, "workers"),
    (("search", "quickstart", "--workers-per-gpu", "0"), 2, "workers-per-gpu"),
    (("search", "quickstart", "--trials", "0"), 2, "--trials"),
    (("search", "quickstart", "--engine", "cloud"), 2, "--engine"),
    (("search", "quickstart", "--device", "gpu"), 3, "device"),
    (("search", "--task", "digits-mpl", *FAKE), 3, "digits-mpl"),
    (("search", "quickstart", "--store", "sqlite:////nowhere/x.db"), 4, "no folder '/nowhere'"),
    (("search", "quickstart", "--plugin", "nothing.py", *FAKE), 2, "nothing.py"),
]


@pytest.mark.parametrize(("words", "code", "message"), WRONG)
def test_wrong_searches_end_in_words_and_leave_no_study(
    run: Run, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert "hint: " in ran.err
    assert "Traceback" not in ran.err
    stored = tmp_path / "prunesearch.db"
    if stored.exists():
        with Store.open(f"sqlite:///{stored}") as store:
            assert store.studies() == []


def test_the_command_that_goes_on_says_what_was_said() -> None:
    given = {"study": "my study.yaml", "task": None, "trials": 30, "dry_run": False, "knee": True, "plugin": ["a.py", "b.py"]}
    assert command_line("search", given) == "prunesearch search 'my study.yaml' --trials 30 --knee --plugin a.py --plugin b.py"
    zeros = {"task": "iris-mlp", "seed": 0, "epochs": 0, "stage_budget": 0.0}
    assert command_line("search", zeros) == "prunesearch search --task iris-mlp --seed 0 --epochs 0 --stage-budget 0.0"


@pytest.mark.parametrize("url", ["postgresql://me:se/cret@host/x", "postgresql:///x?user=me&password=secret"])
def test_commands_to_type_next_keep_their_quotes_and_tell_no_password(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Context("table", Talk(), False, {"store": url}).next("search", "go on", study="my study.yaml", name="two")
    told = shlex.split(capsys.readouterr().err)
    assert told[:6] == ["prunesearch", "search", "my study.yaml", "--name", "two", "--store"]
    assert told[6] in ("postgresql://me:***@host/x", "postgresql:///x?user=me&password=***")


def started(url: str, cwd: Path, *words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": url}
    code = [sys.executable, "-m", "prunesearch", "search", *words]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd)


def finished(url: str) -> int:
    """Trials with a result; 0 while there is no store yet."""
    from prunesearch.errors import PrunesearchError

    try:
        with Store.open(url) as store:
            return sum(n for state, n in store.counts("quickstart").items() if state not in ("running", "lost"))
    except PrunesearchError:
        return 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_the_told_command_goes_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    words = ("quickstart", "--trials", "400", "--engine", "serial")
    process = started(url, tmp_path, *words)
    deadline = time.monotonic() + 120
    while finished(url) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Front of quickstart" in out
    assert "prunesearch search quickstart --trials 400 --engine serial" in err
    assert "Traceback" not in err
    assert finished(url) >= 2


@pytest.mark.slow
def test_a_real_search_on_a_terminal_shows_a_display(tmp_path: Path) -> None:
    """Run under a pseudo-terminal, which is what a person has."""
    import pty

    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": f"sqlite:///{tmp_path / 's.db'}", "TERM": "xterm"}
    master, slave = pty.openpty()
    code = [
        sys.executable,
        "-m",
        "prunesearch",
        "search",
        "--task",
        "iris-mlp",
        "--trials",
        "4",
        "--epochs",
        "3",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(code, stdout=slave, stderr=slave, env=env, cwd=tmp_path)
    os.close(slave)
    shown = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait(timeout=60) == 0, shown.decode()
    text = shown.decode()
    for told in ("iris-mlp", "running", "infeasible", "4/4", "best", "Front of iris-mlp", "prunesearch export iris-mlp"):
        assert told in text

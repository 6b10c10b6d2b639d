"""The program as a process: what it imports, how fast it answers, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunesearch.cli import boundary
from prunesearch.cli.app import COMMANDS
from prunesearch.errors import PrunesearchError, UsageError

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
READING = [
    ("--help",),
    ("search", "--help"),
    ("studies",),
    ("studies", "show", "quickstart"),
    ("status",),
    ("front",),
    ("front", "--format", "json"),
    ("front", "--where", "accuracy >= dense - 0.02", "--by", "params"),
    ("show",),
    ("show", "--knee"),
    ("version",),
]
IMPORTS = """
import sys
from prunesearch.cli.main import main
code = main(sys.argv[1:])
heavy = sorted({m.split(".")[0] for m in sys.modules} & {"torch", "optuna", "torchvision", "numpy", "plotly", "sklearn"})
sys.exit(f"imported {heavy}" if heavy else code)
"""


def started(code: list[str], url: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": url}
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, env=env, cwd=cwd, timeout=60)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_commands_import_nothing_heavy(words: tuple[str, ...], url: str, tmp_path: Path) -> None:
    ran = started(["-c", IMPORTS, *words], url, tmp_path)
    assert (ran.returncode, ran.stderr.count("imported")) == (0, 0), ran.stderr


def test_the_checkout_s_door_is_the_same_program(tmp_path: Path) -> None:
    ran = started([str(ROOT / "cli.py"), "version"], "", tmp_path)
    assert ran.stdout == started(["-m", "prunesearch", "version"], "", tmp_path).stdout


def test_a_reader_that_goes_away_is_no_error(url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m prunesearch front --format json | head -c 5"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": url}
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60)
    assert (ran.stdout, ran.stderr) == ('{\n  "', "")


def test_a_full_disk_is_no_bug(url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m prunesearch front --store {url} --format json > /dev/full"
    ran = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    told = "error: cannot write the output: No space left on device\nhint: make room, or write to another place\n"
    assert (ran.returncode, ran.stderr) == (6, told)


def test_no_color_where_it_is_not_wanted(url: str, tmp_path: Path) -> None:
    assert "\x1b" not in started(["-m", "prunesearch", "front"], url, tmp_path).stdout


def test_without_words_the_help_is_shown(run: Run) -> None:
    ran = run()
    assert ran.code == 0
    assert all(name in ran.out for name in COMMANDS)


def test_every_command_has_help_with_every_option_told(run: Run) -> None:
    for name in COMMANDS:
        ran = run(name, "--help")
        assert ran.code == 0, name
        assert "Usage: prunesearch" in ran.out


ENDS = [
    (UsageError("no", "do this"), 2, "error: no\nhint: do this\n"),
    (PrunesearchError("at postgresql://me:secret@host/db"), 1, "error: at postgresql://me:***@host/db\n"),
    (KeyboardInterrupt(), 130, "stopped\n"),
    (OSError(28, "full", "a.txt"), 6, "error: cannot write 'a.txt': full\nhint: make room, or write to another place\n"),
]


@pytest.mark.parametrize(("raised", "code", "said"), ENDS)
def test_every_end_has_a_code_and_words(
    raised: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(argv: list[str]) -> int:
        raise raised

    monkeypatch.setattr(boundary, "_run", broken)
    assert boundary.guarded(["front"]) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_told_as_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(argv: list[str]) -> int:
        raise ValueError("sqlite://me:secret@x is odd")

    monkeypatch.setattr(boundary, "_run", broken)
    assert boundary.guarded([]) == 1
    said = capsys.readouterr().err
    assert "this is a bug in prunesearch: ValueError" in said
    assert "secret" not in said
    assert "Traceback" not in said
    assert boundary.guarded(["--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_completion_knows_the_commands(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "_PRUNESEARCH_COMPLETE": "complete_bash"}
    env |= {"COMP_WORDS": "prunesearch fr", "COMP_CWORD": "1"}
    code = [sys.executable, "-c", IMPORTS]
    ran = subprocess.run(code, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60)
    assert ran.stdout.split() == ["front"], ran.stderr


@pytest.mark.parametrize(("number", "last", "code"), [(signal.SIGINT, "closed", 0), (signal.SIGTERM, "stopped", 143)])
def test_the_dashboard_runs_until_ctrl_c_or_until_it_is_ended(
    url: str, tmp_path: Path, number: signal.Signals, last: str, code: int
) -> None:
    import prunesearch as ps

    ps.search("quickstart", trials=3, engine="fake", store=url)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": url}
    words = [sys.executable, "-m", "prunesearch", "dashboard", "quickstart", "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    assert process.stderr
    address = process.stderr.readline().split()[0]
    with urllib.request.urlopen(address.replace("/dashboard", "/api/studies"), timeout=30) as answer:
        assert b"quickstart" in answer.read()
    process.send_signal(number)
    assert process.communicate(timeout=30)[1].splitlines()[-1] == last
    assert process.returncode == code

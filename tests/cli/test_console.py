"""Formats, streams and the live display, without a command around them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from prunesearch.cli import console
from prunesearch.cli.console import Talk
from prunesearch.cli.formats import SCHEMA_VERSION, emit
from prunesearch.cli.live import Watch
from prunesearch.policy import Policy
from prunesearch.report.progress import News
from prunesearch.report.table import Column, Table
from prunesearch.results import DenseReference, LatencySpec, Measures, Result, TaskInfo
from prunesearch.search.events import DenseDone, FrontChanged, SearchStarted, TrialFinished, TrialStarted, Warned

TABLE = Table((Column("a", "A", right=True), Column("b", "B")), [{"a": 1, "b": [1.5]}, {"a": float("nan"), "b": None}], "T")


def emitted(format: Any, capsys: pytest.CaptureFixture[str]) -> str:
    emit(format, TABLE, lambda: {"x": float("inf"), "y": (1, {"z": 2.5})})
    return capsys.readouterr().out


def test_json_has_a_version_and_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(emitted("json", capsys)) == {"schema_version": SCHEMA_VERSION, "x": None, "y": [1, {"z": 2.5}]}


def test_csv_has_keys_and_json_in_cells(capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted("csv", capsys) == "a,b\n1,[1.5]\n,\n"


def test_a_table_has_titles_and_everything_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in emitted("table", capsys).splitlines()]
    assert ["T"] in lines
    assert ["A", "B"] in lines
    assert ["1", "[1.5]"] in lines


def test_long_cells_are_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    emit("table", Table((Column("a", "A"),), [{"a": "x" * 300}]), dict)
    assert "x" * 300 in capsys.readouterr().out


def test_quiet_talk_still_tells_errors(capsys: pytest.CaptureFixture[str]) -> None:
    talk = Talk(quiet=True)
    talk.say("nothing")
    talk.command("prunesearch", "nothing")
    talk.error("bad [red]thing[/red]", "fix it")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: bad [red]thing[/red]\nhint: fix it\n")


class Terminal(Talk):
    """Talk on a terminal of a test's own."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["console"] = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)

    @property
    def text(self) -> str:
        file = self.console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()


INFO = TaskInfo("digits-mlp", "d", 4, "accuracy", "maximize", (), False, 1000, 1000, (8, 2, 2), 10, (64,), "cpu")
POLICY = Policy(epochs=4, threshold=0.5)
SMALL = Measures(0.895, 200, 200, 200, 800, 0.8, 1.0, latency_ms=0.5)
NEWS: list[News] = [
    SearchStarted("s", 6, 0, False, 2, {"accuracy": "maximize"}, INFO, 9),
    DenseDone(DenseReference(Measures(0.9, 1000, 1000, 1000, 4000, 0.0, 1.0), "x", LatencySpec()), True, 3.0),
    TrialStarted(0, 0, POLICY),
    TrialFinished(0, POLICY, Result("complete", SMALL, epochs_trained=1), True, {}, 1, 6),
    FrontChanged(0, (0,), 0.4),
    Warned("slow disk"),
]


def test_the_display_shows_every_figure() -> None:
    talk, clock = Terminal(), iter(range(100))
    watch = Watch(talk, lambda: float(next(clock)))
    with watch.showing():
        for one in NEWS:
            watch.hear(one)
        talk.console.print(watch)
    for told in ("s ", "1/6", "left", "running", "failed", "epochs saved 3", "front 1", "best 0.8950 (dense 0.9000)"):
        assert told.replace(" ", "") in talk.text.replace(" ", "")
    for told in (
        "smallest within a point",
        "200 (5.00x fewer)",
        "hypervolume",
        "0.4000",
        "warning: slow disk",
        "trial 0:",
    ):
        assert told in talk.text


def test_a_pipe_gets_lines_and_no_display(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(Talk())
    with watch.showing():
        for one in NEWS:
            watch.hear(one)
    said = capsys.readouterr()
    assert said.out == ""
    assert "\x1b" not in said.err
    assert len(said.err.splitlines()) == 5


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(Talk(quiet=True))
    with watch.showing():
        for one in NEWS:
            watch.hear(one)
    assert capsys.readouterr().err == ""
    assert watch.state.done == 1


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console(force_terminal=True).no_color
    assert console.Talk().console.no_color

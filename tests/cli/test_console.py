"""Formats, streams and the live display, without a command around them."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from dataclasses import asdict, replace
from typing import Any

import pytest
from rich.console import Console

from prunesearch.api.definitions import StudyLine
from prunesearch.cli import console
from prunesearch.cli.console import Talk
from prunesearch.cli.formats import emit
from prunesearch.cli.live import Watch
from prunesearch.front import JSON_VERSION
from prunesearch.policy import Policy
from prunesearch.report.curve_table import curve_table
from prunesearch.report.heat import sensitivity_table
from prunesearch.report.progress import News
from prunesearch.report.table import Column, Table
from prunesearch.report.tables import studies_table
from prunesearch.results import DenseReference, LatencySpec, Measures, Result, TaskInfo
from prunesearch.search.events import DenseDone, FrontChanged, SearchStarted, TrialFinished, TrialStarted, Warned
from prunesearch.sensitivity import GroupCurve, Sensitivity
from prunesearch.sweeps.curves import FIGURES, CurvePoint
from prunesearch.sweeps.groups import RATIOS

TABLE = Table((Column("a", "A", right=True), Column("b", "B")), [{"a": 1, "b": [1.5]}, {"a": float("nan"), "b": None}], "T")


def emitted(format: Any, capsys: pytest.CaptureFixture[str]) -> str:
    emit(format, TABLE, lambda: {"x": float("inf"), "y": (1, {"z": 2.5})})
    return capsys.readouterr().out


def test_json_has_a_version_and_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(emitted("json", capsys)) == {"schema_version": JSON_VERSION, "x": None, "y": [1, {"z": 2.5}]}


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


POINT = CurvePoint(
    "weight, l1", 0.9, "weight", dict.fromkeys(FIGURES, 0.9774) | {"params": 133_305}, dict.fromkeys(FIGURES, 0.0012), 3
)
SENSED = Sensitivity(
    task="t",
    digest="d",
    seeds=(0, 1),
    epochs=10,
    criterion="l1",
    dense=0.9,
    params=266_610,
    ratios=RATIOS,
    groups=tuple(
        GroupCurve(group=f"fc{i}", kind=kind, size=235_200, drops=tuple(r * i / 3 for r in RATIOS))
        for i in (1, 2)
        for kind in ("weight", "neuron")
    ),
)
STUDY = StudyLine("mine", "stored", "mnist-mlp1000", 4, 60, "2026-01-02T12:34:56", "MNIST, MLP of 2,386,000 weights, to 99 %")
WIDE = [
    curve_table(
        [POINT, replace(POINT, level=0.99)],
        replace(POINT, series="dense", level=0.0),
        split="test",
        metric="accuracy",
        title="lenet300",
    ),
    sensitivity_table(SENSED),
    studies_table([asdict(replace(STUDY, name=f"mine{i}", where=where)) for i, where in enumerate(("ready", "stored"))]),
]


@pytest.mark.parametrize("table", WIDE, ids=["curve", "sensitivity", "studies"])
@pytest.mark.parametrize("width", [10, 80, 100, 200])
def test_no_cell_is_cut_whatever_the_width(
    table: Table, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PIPE_WIDTH", width)
    emit("table", table, dict)
    lines = capsys.readouterr().out.splitlines()
    assert width < 80 or max(map(len, lines)) <= width
    printed: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for line in lines:
        cells = re.split(" {2,}", line.strip())
        printed[tuple(cells[:2])] += cells[2:]
    figures = table.columns if table.columns[-1].right else table.columns[:-1]
    for told in ([c.title for c in figures], *([c.text(row) for c in figures] for row in table.rows)):
        assert printed[tuple(told[:2])][: len(told) - 2] == told[2:]


def test_a_figure_and_its_deviation_stay_together(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PIPE_WIDTH", 80)
    emit("table", WIDE[0], dict)
    before = re.findall(r"(\S+) +±", capsys.readouterr().out)
    assert before == ["accuracy", "loss", "latency_ms"]


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

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prunesearch.spec import ready_studies
from tests.cli.conftest import INFO

if TYPE_CHECKING:
    from tests.cli.conftest import Run

DENSE_PARAMS = 17_226


def test_studies_lists_ready_and_stored_ones(run: Run, url: str) -> None:
    listed = json.loads(run("studies", "--store", url, "--format", "json").out)["studies"]
    names = {line["name"]: line for line in listed}
    assert {n for n, line in names.items() if line["where"] == "ready"} == set(ready_studies())
    assert (names["small"]["where"], names["small"]["finished"], names["small"]["total"]) == ("stored", 6, 8)


def test_bare_studies_and_studies_list_are_one(run: Run) -> None:
    assert run("studies").out == run("studies", "list").out


def test_studies_without_a_store_makes_none(run: Run, tmp_path: Path) -> None:
    assert run("studies").code == 0
    assert list(tmp_path.iterdir()) == []


def test_front_tells_every_row_against_dense(run: Run, url: str) -> None:
    ran = run("front", "--store", url)
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["1", "0.9600", "-1.5", "3,000", "5.74x", "0.0400", "1.00x"] in [r[:7] for r in rows]
    assert any(r[:2] == ["dense", "0.9750"] for r in rows)
    assert "not confirmed" in ran.out
    assert "prunesearch show small --trial" in ran.err


def test_front_as_json_is_what_the_design_says(run: Run, url: str) -> None:
    plain = json.loads(run("front", "small", "--store", url, "--format", "json").out)
    assert list(plain)[:7] == ["schema_version", "study", "directions", "device", "dense", "hypervolume", "front"]
    assert plain["directions"] == {"accuracy": "maximize", "params": "minimize", "latency_ms": "minimize"}
    assert [row["trial"] for row in plain["front"]] == [0, 1, 2]
    assert plain["dense"]["params"] == DENSE_PARAMS
    assert {"accuracy", "params", "latency_ms", "latency_iqr_ms", "macs", "bytes", "feasible", "confirmed", "policy"} <= set(
        plain["front"][0]
    )
    assert plain["front"][0]["confirmed"] is None


def test_front_as_csv_has_every_measure(run: Run, url: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run("front", "--store", url, "--format", "csv").out)))
    assert [(r["trial"], r["accuracy"], r["params"]) for r in rows] == [
        ("0", "0.97", "9000"),
        ("1", "0.96", "3000"),
        ("2", "0.93", "900"),
    ]
    assert json.loads(rows[0]["policy"])["function"] == "gradual"


CHOICES: list[tuple[tuple[str, ...], list[int]]] = [
    (("--trial", "1"), [1]),
    (("--knee",), [2]),
    (("--where", "accuracy >= dense - 0.02"), [0, 1]),
    (("--where", "accuracy >= dense - 0.02", "--by", "params"), [1, 0]),
    (("--by", "latency_ms"), [2, 0, 1]),
    (("--by", "accuracy"), [0, 1, 2]),
    (("--where", "params <= 5000 and latency_ms <= 0.03"), [2]),
]


@pytest.mark.parametrize(("words", "trials"), CHOICES)
def test_choosing_on_the_front(run: Run, url: str, words: tuple[str, ...], trials: list[int]) -> None:
    plain = json.loads(run("front", "--store", url, "--format", "json", *words).out)
    assert [row["trial"] for row in plain["front"]] == trials


WIDE = [(0.97, 12_000, 0.9, True), (0.965, 9000, 0.8, True), (0.96, 6000, 0.7, True), (0.94, 900, 0.5, True)]


def test_the_knee_and_what_to_type_next_are_those_of_one_trial(run: Run, url: str, fill: Callable[..., None]) -> None:
    fill(url, "wide", WIDE)

    def told(*words: str) -> tuple[list[str], str]:
        ran = run("front", "wide", "--store", url, *words)
        (export,) = [line.split("--to")[0].strip() for line in ran.err.splitlines() if "prunesearch export" in line]
        return [line.split()[0] for line in ran.out.splitlines() if " knee " in line], export

    assert told() == (["3"], "prunesearch export wide --knee")
    assert told("--where", "accuracy >= 0.95") == ([], "prunesearch export wide --trial 0")
    assert told("--where", "accuracy <= 0.965") == (["3"], "prunesearch export wide --trial 1")
    assert told("--by", "params") == (["3"], "prunesearch export wide --trial 3")
    assert told("--knee") == (["3"], "prunesearch export wide --trial 3")


def test_an_error_that_is_no_objective_is_better_when_lower(run: Run, url: str, fill: Callable[..., None]) -> None:
    error = replace(INFO, metric="mse", direction="minimize")
    fill(url, "error", [(1.0, 3000, 0.5, True), (0.95, 9000, 0.4, True)], error, ("params", "latency_ms"))
    plain = json.loads(run("status", "error", "--store", url, "--format", "json").out)
    assert (plain["best_accuracy"], plain["smallest_params"]) == (0.95, 9000)
    listed = json.loads(run("front", "error", "--by", "accuracy", "--store", url, "--format", "json").out)
    assert [row["accuracy"] for row in listed["front"]] == [0.95, 1.0]


@pytest.mark.parametrize(("words", "trials"), [c for c in CHOICES if len(c[1]) == 1 or "--by" in c[0]])
def test_show_chooses_the_same_row_first(run: Run, url: str, words: tuple[str, ...], trials: list[int]) -> None:
    plain = json.loads(run("show", "--store", url, "--format", "json", *words).out)
    assert (plain["trial"]["number"], plain["on_front"]) == (trials[0], True)


WRONG: list[tuple[tuple[str, ...], int, str, str]] = [
    (("front", "--knee", "--trial", "1"), 2, "--trial and --knee choose in different ways", "give one"),
    (("front", "--trial", "3"), 2, "trial 3 is not on the front", "0, 1, 2"),
    (("front", "--where", "accuracy >= 0.999"), 5, "none of the 3 policies", "0.97 (trial 0)"),
    (("front", "--where", "acuracy >= 0.9"), 2, "'acuracy' is not a measure", "did you mean 'accuracy'?"),
    (("show", "--where", "accuracy >= 0.9"), 2, "3 policies are left to choose from", "--by params"),
    (("show", "--trial", "77"), 3, "no trial 77", "0 to 5"),
    (("show", "nope"), 3, "no study 'nope'", "'prunesearch studies'"),
    (("front", "--plot", "front.gif"), 2, "does not end in .html or .png", ".html"),
    (("front", "--by", "colour"), 2, "'--by': 'colour' is not one of 'accuracy'", "prunesearch front --help"),
    (("fornt",), 2, "no such command 'fornt'", "prunesearch --help"),
]


@pytest.mark.parametrize(("words", "code", "message", "hint"), WRONG)
def test_wrong_requests_end_in_words(
    run: Run, url: str, words: tuple[str, ...], code: int, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNESEARCH_STORE", url)
    ran = run(*words)
    assert ran.code == code
    assert ran.out == ""
    assert message in ran.err
    assert hint in ran.err
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_show_a_trial_tells_all_that_is_known(run: Run, url: str) -> None:
    out = run("show", "--store", url, "--trial", "1").out
    for told in ("Trial 1 of small: complete, on the front", "0.9600", "819", "8,192", "10 %", "threshold: 0.55"):
        assert told in out


def test_show_a_failed_trial_tells_why(run: Run, url: str) -> None:
    assert "loss is not a number" in run("show", "--store", url, "--trial", "5").out
    assert "Traceback: boom" not in run("show", "--store", url, "--trial", "5").out
    assert "Traceback: boom" in run("show", "--store", url, "--trial", "5", "--debug").out


def test_show_without_a_choice_is_the_study(run: Run, url: str) -> None:
    plain = json.loads(run("show", "--store", url, "--format", "json").out)
    assert plain["trial"] is None
    assert plain["study"]["spec"]["constraints"] == {"accuracy": ">= 0.9"}
    assert "the output layer" in run("show", "--store", url).out


def test_status_counts(run: Run, url: str) -> None:
    plain = json.loads(run("status", "--store", url, "--format", "json").out)
    assert plain["states"] == {"complete": 4, "infeasible": 1, "failed": 1}
    assert (plain["finished"], plain["total"], plain["front"]) == (6, 8, 3)
    assert (plain["best_accuracy"], plain["smallest_params"]) == (0.97, 9000)
    shown = run("status", "--store", url)
    assert "prunesearch search small" in shown.err
    (within,) = [line for line in shown.out.splitlines() if "smallest params within a point" in line]
    assert within.split()[-1] == "9,000"


def test_latest_study_is_the_one_last_written_to(run: Run, url: str, fill: Callable[..., None]) -> None:
    fill(url, "younger")
    assert json.loads(run("status", "--store", url, "--format", "json").out)["study"] == "younger"


@pytest.mark.parametrize("ending", [".html", ".png"])
def test_front_as_a_figure(run: Run, url: str, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("kaleido")
    target = tmp_path / f"front{ending}"
    ran = run("front", "--store", url, "--plot", str(target))
    if ending == ".png" and "no PNG could be made" in ran.err:
        pytest.skip(ran.err)
    assert ran.code == 0
    start = target.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if ending == ".png" else b"<html" in start


def test_quiet_leaves_only_data(run: Run, url: str) -> None:
    ran = run("front", "--store", url, "--quiet")
    assert ran.err == ""
    assert "dense" in ran.out


def test_reading_never_writes(run: Run, url: str, tmp_path: Path) -> None:
    before = (tmp_path / "studies.db").read_bytes()
    for words in (("studies",), ("status",), ("front",), ("show", "--trial", "0")):
        assert run(*words, "--store", url).code == 0
    assert (tmp_path / "studies.db").read_bytes() == before


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("sqlite:////nowhere/at/all.db", "no folder '/nowhere/at'"),
        ("missing.db", "there is no store"),
        ("foo://x", "no kind of database"),
        ("postgresql://me:secret@localhost:1/x", "me:***@localhost"),
    ],
)
def test_stores_that_cannot_be_read(run: Run, store: str, message: str) -> None:
    ran = run("status", "--store", store)
    assert (ran.code, ran.out) == (4, "")
    assert message in ran.err
    assert "secret" not in ran.err


def test_a_newer_schema_is_refused(run: Run, url: str, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE prunesearch_meta SET value = '99' WHERE key = 'schema_version'")
    connection.close()
    ran = run("front", "--store", url)
    assert ran.code == 4
    assert "schema version 99" in ran.err


def test_json_has_no_nan(run: Run, url: str) -> None:
    def refuse(word: str) -> Any:
        raise AssertionError(word)

    text = run("show", "--trial", "5", "--store", url, "--format", "json").out
    assert json.loads(text, parse_constant=refuse)["trial"]["measures"] is None

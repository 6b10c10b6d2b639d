"""What is remarked beside the times of a race."""

from __future__ import annotations

from typing import Any

from benchmarks.record import Run
from benchmarks.remarks import _apart, _between, _missing, remarks, versions

RUN: Run = {"seconds": 10.0, "repeat": 0, "code": "same", "date": "2026-11-30 10:00 UTC"}


def test_what_was_not_run_is_told() -> None:
    assert _missing({"expert": [RUN], "tuned": [RUN], "unshared": [RUN]}) == ""
    script = "The expert's script is without channels_last and the fused optimiser, which prunesearch uses."
    assert _missing({"expert": [RUN], "unshared": [RUN]}) == script
    nobody = "The expert's script was not run. prunesearch was not run without sharing."
    assert _missing({"tutorial": [RUN], "tuned": [RUN]}) == nobody


def test_runs_of_other_code_are_told() -> None:
    old, new = ({**RUN, "code": code} for code in ("old", "new"))
    assert versions({"prunesearch": [new, new], "expert": [old]}) == ""
    assert versions({"prunesearch": [old, new], "expert": [old]}) == "The runs of prunesearch are of 2 versions of its code."


def at(date: str, repeat: int = 0, **more: Any) -> Run:
    return {**RUN, "repeat": repeat, "date": f"2026-11-{date} UTC", **more}


def test_runs_of_another_pass_are_told() -> None:
    runs = {"prunesearch": [at("30 18:00"), at("20 09:00", 1)], "expert": [at("30 19:59"), at("20 10:00", 1)]}
    assert _apart(runs) == ""
    told = _apart({**runs, "tutorial2": [at("29 18:30"), at("20 09:00", 2)], "unshared": [at("30 20:01")]})
    assert "prunesearch, up to so long before or after it: tutorial2 (23.5 h), unshared (2.0 h). The machine" in told


def test_repeats_of_different_days_are_told_with_what_shows_the_machine() -> None:
    assert _between({"prunesearch": [at("30 00:10"), at("29 23:50", 1)]}) == ""
    ours = [at("20 10:00", seconds=50.0), at("30 10:00", 1, code="new", seconds=10.0)]
    assert _between({"prunesearch": ours}) == "Repeats were made on different days."
    tutorial = [at("20 10:00", seconds=2189.0), at("30 10:00", 1, seconds=1133.0)]
    told = _between({"expert": [at("20 09:00"), at("30 09:00", 1)], "tutorial": tutorial, "prunesearch": ours})
    assert told.endswith("may differ in speed: tutorial, with the same code, took 1133 to 2189 s.")


def test_remarks_are_lines_and_none_where_all_is_well() -> None:
    everybody = {who: [RUN] for who in ("expert", "tuned", "prunesearch", "unshared")}
    assert remarks(everybody) == ""
    told = remarks({"tutorial": [at("30 18:00")], "prunesearch": [RUN]}).splitlines()
    assert [line.split()[0] for line in told] == ["The", "Not"]

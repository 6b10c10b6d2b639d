"""What was aimed at against what is on record: ratios by repeat, misses told with their limit."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import goals
from benchmarks.proof.page import RESULTS
from benchmarks.record import Run
from prunesearch.schedules.markdown import with_block


def ran(contestant: str, repeat: int, seconds: float, **more: Any) -> Run:
    return {"scenario": "lenet300", "contestant": contestant, "repeat": repeat, "seconds": seconds, **more}


def searched(workers: int, repeat: int, seconds: float, code: str = "new", date: str = "2026-11-30 10:00 UTC") -> Run:
    return {**ran("", repeat, seconds), "workers": workers, "trained": 100, "epoch_seconds": 1.0, "code": code, "date": date}


EPOCHS = {"trained": 100, "epoch_seconds": 1.0}
SPENT = {"trial_train": 96.0, "trial_validate": 7.0, "trial_latency": 4.0, "trial_cut": 2.0, "trial_wait": 0.5}
RECORD: dict[str, list[Run]] = {
    "peers": [
        *(ran("expert", repeat, seconds) for repeat, seconds in enumerate((150.0, 300.0, 180.0))),
        *(
            ran("prunesearch", repeat, seconds, **EPOCHS, run={"spent": SPENT})
            for repeat, seconds in enumerate((50.0, 150.0, 60.0))
        ),
        *(ran("fast", repeat, 100.0, before=60.0, **EPOCHS) for repeat in range(3)),
    ],
    "scaling": [
        searched(1, 0, 190.0),
        searched(2, 0, 95.0),
        searched(1, 1, 900.0, "old", "2026-11-20 10:00 UTC"),
        searched(2, 1, 100.0, "old", "2026-11-20 10:00 UTC"),
    ],
    "overhead": [
        {
            "scenario": "lenet300",
            "trials": 60,
            "seconds": 100.0,
            "run": {"overhead": 0.06, "seconds": 100.0, "spent": {"trial_latency": 8.0, "trial_cut": 2.0, "trial_wait": 4.0}},
        }
    ],
}


def rows(monkeypatch: pytest.MonkeyPatch, record: dict[str, list[Run]]) -> dict[str, list[str]]:
    monkeypatch.setattr(goals, "stored", lambda name: record.get(name, []))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in goals.goals().splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def test_what_was_reached_and_what_was_not_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows(monkeypatch, RECORD)
    won = found["lenet300: prunesearch, against expert"]
    assert won == ["2 times as fast", "3.00 (2.00 to 3.00), 3 runs", "yes", ""]
    before = found["lenet300: fast, before its front is measured again, against expert"]
    assert before[1:3] == ["3.00 (2.50 to 5.00), 3 runs", "yes"]
    again = found["lenet300: fast, its front measured again, against expert"]
    assert again[1:3] == ["1.80 (1.50 to 3.00), 3 runs", "**no**"]
    assert again[3].startswith("its epochs, validation included, on two workers alone: 3.60 times as fast")
    assert "takes 40.0 (40.0 to 40.0) s" in again[3]
    assert found["lenet300: 2 workers against one"][1:3] == ["2.00, one run", "yes, on one run"]
    assert found["lenet300, 60 trials: outside training, evaluation and latency"][1:] == [
        "6.0%, one run",
        "**no**, on one run",
        "of the workers' time: start-up and the driver 3.0%, within trials 1.0%, waiting for epochs 2.0%",
    ]
    latency = found["lenet300, 60 trials: latency, the other worker's making way included"]
    assert latency[1:] == ["4.0%, one run", "yes, on one run", ""]


def test_what_lies_beyond_the_bound_is_read_from_the_race_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 120 s of two workers, 100 are the epochs: 10.5 nobody worked, 3 were measured beyond them, 6.5 went elsewhere."""
    bound = rows(monkeypatch, RECORD)["lenet300: time against that of its epochs, validation included"]
    assert bound[:3] == ["at most 1.10", "1.20 (1.00 to 3.00), 3 runs", "**no**"]
    assert bound[3] == (
        "beyond the epochs, in parts of them, in the run of the median: start-up, the driver and empty slots 10.5%, latency "
        "4.0%, measuring beyond the epochs 3.0%, else within trials 2.0%, waiting for epochs 0.5%"
    )


def test_seeds_count_with_which_everybody_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [{**ran(who, 0, 0.0), "seed": seed, "minutes": 10} for seed in range(5) for who in ("prunesearch", "expert")]
    what = "lenet300: seeds of searches of equal length"
    assert rows(monkeypatch, {"adaptive": runs[:-1]})[what] == ["5", "4", "**no**", "a seed takes 20 minutes of the machine"]
    assert rows(monkeypatch, {"adaptive": runs})[what] == ["5", "5", "yes", ""]


def test_what_nobody_has_measured_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goals, "stored", lambda _: [])
    assert goals.goals() == ""


def test_the_goals_on_the_page_are_those_on_record() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert with_block(text, "goals", goals.goals()) == text, "python -m benchmarks results_page"

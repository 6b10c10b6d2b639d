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


EPOCHS = {"trained": 100, "epoch_seconds": 1.0}
RECORD: dict[str, list[Run]] = {
    "peers": [
        *(ran("expert", repeat, seconds) for repeat, seconds in enumerate((150.0, 300.0, 180.0))),
        *(ran("prunesearch", repeat, seconds, **EPOCHS) for repeat, seconds in enumerate((50.0, 150.0, 60.0))),
        *(ran("fast", repeat, 100.0, before=60.0, **EPOCHS) for repeat in range(3)),
    ],
    "breakdown": [{"scenario": "lenet300", "seconds": 50.0, "parts": {"train": 80.0, "start-up": 10.0, "latency": 5.0}}],
    "scaling": [
        {"scenario": "lenet300", "workers": n, "seconds": 190.0 / n, "trained": 100, "epoch_seconds": 1.0} for n in (1, 2)
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
    assert again[3].startswith("its epochs alone, on two workers that do nothing else: 3.60 times as fast")
    assert "takes 40.0 (40.0 to 40.0) s" in again[3]
    bound = found["lenet300: time against that of its epochs alone"]
    assert bound == [
        "at most 1.10",
        "1.20 (1.00 to 3.00), 3 runs",
        "**no**",
        "of the workers' time: start-up 10.0%, latency 5.0%",
    ]
    assert found["lenet300: 2 workers against one"][1:3] == ["2.00", "yes"]
    assert found["lenet300, 60 trials: outside training, evaluation and latency"][1:] == [
        "6.0%, one run",
        "**no**",
        "of the workers' time: start-up and the driver 3.0%, within trials 1.0%, waiting for epochs 2.0%",
    ]
    assert found["lenet300, 60 trials: latency, the other worker's making way included"][1:] == ["4.0%, one run", "yes", ""]


def test_what_nobody_has_measured_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goals, "stored", lambda _: [])
    assert goals.goals() == ""


def test_the_goals_on_the_page_are_those_on_record() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert with_block(text, "goals", goals.goals()) == text, "python -m benchmarks results_page"

"""What the generated blocks say beside their figures: of which runs, of which day, and how many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import adaptive, breakdown, brief, costs, growth, scaling
from benchmarks import record as records
from benchmarks.machine import source_digest
from benchmarks.proof.searches import stored
from benchmarks.race import OURS
from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from prunesearch.schedules.markdown import with_block

MACHINE = {
    "cpu": "AMD",
    "cores": 2,
    "memory_gib": 8,
    "system": "Linux",
    "python": "3",
    "torch": "2",
    "torchvision": "0",
    "optuna": "5",
}
SEARCH = {
    "parts": {"train": 8.0},
    "dense_train": 1.0,
    "steps": 10,
    "step": 1e9,
    "product": 1e11,
}


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the day of what is put on record next."""

    def day(day: int) -> None:
        monkeypatch.setattr(records, "moment", lambda: {"date": f"2026-11-{day} 10:00 UTC", "load": 1.0})

    return day


def test_where_time_goes_is_told_of_the_newest_code_alone(on: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, code = Record("breakdown", tmp_path), source_digest(*OURS)
    for repeat, day, version, seconds in ((1, 20, "old", 7.0), (2, 20, "old", 9.0), (0, 30, code, 5.0)):
        on(day)
        record.add({"scenario": "digits", "repeat": repeat, "code": version}, {"seconds": seconds, **SEARCH})
    monkeypatch.setattr("sys.argv", ["breakdown", "--scenario", "digits", "--repeats", "1", "--to", str(tmp_path)])
    breakdown.main()
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "; one search; 2026-11-30:" in page and "2 workers x 5.0 s" in page
    assert "2026-11-20" not in page
    for repeat in (1, 2):
        record.add({"scenario": "digits", "repeat": repeat, "code": code}, {"seconds": 6.0 + repeat, **SEARCH})
    told = breakdown.report(record)
    assert "; 3 searches, the one of median length; 2026-11-30:" in told and "2 workers x 7.0 s" in told


def scaled(workers: int, repeat: int, seconds: float, each: float) -> Run:
    key = {"scenario": "lenet300", "workers": workers, "repeat": repeat, "code": "c", "date": "2026-11-20 17:20 UTC"}
    return {**key, "seconds": seconds, "trained": 100, "epoch_seconds": each}


PAIRS = ((200.0, 100.0, 1.0), (190.0, 100.0, 2.0), (270.0, 150.0, 1.5))
SCALING = [scaled(n, r, pair[n - 1], pair[2]) for r, pair in enumerate(PAIRS) for n in (1, 2)]


def test_workers_are_compared_repeat_by_repeat(on: Any, tmp_path: Path) -> None:
    on(20)
    record = Record("scaling", tmp_path)
    for run in SCALING:
        record.add({k: run[k] for k in ("scenario", "workers", "repeat", "code")}, run)
    row = next(line for line in scaling.report(record).splitlines() if line.startswith("| 2 |"))
    assert row.startswith("| 2 | 3 | 100 (100 to 150) | 1.90 (1.80 to 2.00) | 75.0 (50.0 to 100) | 2.00 (1.00 to 2.00) |")
    assert scaling.scaled([]) == []
    assert scaling.scaled([scaled(1, 0, 9.0, 1.0), scaled(2, 1, 5.0, 1.0)])[1].times == []


def test_searches_that_grow_are_one_run_each(on: Any, tmp_path: Path) -> None:
    on(20)
    record = Record("growth", tmp_path)
    record.add({"scenario": "lenet300", "trials": 8, "code": "c"}, GROWTH)
    told = growth.report(record)
    assert "; one run each. Every worker keeps at most 256 MiB of snapshots in memory, and all together 2 GiB on disk" in told


def peer(scenario: str, who: str, repeat: int, seconds: float, day: int) -> Run:
    run: Run = {"scenario": scenario, "contestant": who, "repeat": repeat, "seconds": seconds}
    run |= {"trained": 100, "epoch_seconds": 1.0}
    return {**run, "date": f"2026-11-{day} 10:00 UTC", "load": 1.0, "machine": MACHINE}


GROWTH: dict[str, Any] = {"seconds": 50.0, "trained": 6, "asked": 10, "peak": 2**30, "store": 2**20, "stages": 2**20}
GROWTH |= {"run": {"overhead": 0.1, "spent": {}}, "trials": 8, "date": "2026-11-21 17:59 UTC"}
RECORD: dict[str, list[Run]] = {
    "peers": [
        *(peer("lenet300", "prunesearch", repeat, seconds, 30) for repeat, seconds in enumerate((57.0, 56.0, 59.0))),
        peer("lenet300", "tuned", 0, 100.0, 29),
        peer("lenet300", "unshared", 0, 100.0, 19),
        peer("lenet5", "prunesearch", 0, 60.0, 30),
        peer("lenet5", "expert", 0, 90.0, 30),
    ],
    "scaling": SCALING,
    "growth": [GROWTH],
}


def test_the_readme_dates_every_row_and_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "stored", lambda name: RECORD.get(name, []))
    told = brief.speed()
    assert "57 s | 2026-11-29 to 2026-11-30 |" in told
    assert "| LeNet-5 on MNIST, 10,000 images | 90 s (1.50x, one run) | - | 60 s | 2026-11-30 |" in told
    assert "1.90 (1.80 to 2.00) times as fast with 2 workers as with one, repeat by repeat" in told
    assert "(`python -m benchmarks scaling`, 3 runs of each, 2026-11-20)" in told
    assert "(`python -m benchmarks growth`, one run each, 2026-11-21)" in told


def test_the_readme_tells_what_was_missed_and_what_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "stored", lambda name: RECORD.get(name, []))
    told = brief.speed()
    assert "On LeNet-5 the peers are without channels_last and the fused optimiser, which prunesearch uses." in told
    assert "On LeNet-5 prunesearch was not run without sharing." in told
    assert "takes 14% longer (12% to 18%, 3 runs) on LeNet-300-100 than its epochs, validation included, would" in told
    assert "the goal of at most 10% was missed" in told
    monkeypatch.setattr(brief, "OVER", 1.2)
    assert "the goal of at most 20% was reached" in brief.speed()


def test_searches_of_equal_length_say_what_is_not_equal(on: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(20)
    monkeypatch.setattr(adaptive, "_figure", lambda *_: "")
    record, row = Record("adaptive", tmp_path), {"finished": 9.0, "accuracy": 0.9, "test_accuracy": 0.96, "params": 10}
    for seed, who in ((1, "prunesearch"), (1, "expert"), (0, "prunesearch"), (0, "expert"), (2, "expert")):
        dense = {"dense": {"test_accuracy": 0.95, "params": 1000 - seed}} if who == "prunesearch" else {}
        key = {"scenario": "lenet300", "contestant": who, "seed": seed, "minutes": 10, "code": f"{seed * len(dense)}"}
        record.add(key, {"rows": [row], **dense})
    told = adaptive.report(record, [10])
    assert "The runs of prunesearch are of 2 versions of its code." in told
    assert "; 2 seeds, means and spans. Both search the same space with TPE" in told
    assert "all parameters that it has not masked, prunesearch those that are left after units that died" in told
    assert "relative to the box of the dense network of seed 0, for all seeds and both searchers" in told
    assert "| 10 | prunesearch | 1 | 1.0013 (1.0013 to 1.0013) | 1.2000 (1.2000 to 1.2000) |" in told


def test_the_costs_on_the_page_are_those_on_record() -> None:
    page = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    assert with_block(page, "costs", costs.block(stored("costs"))) == page, "python -m benchmarks costs"

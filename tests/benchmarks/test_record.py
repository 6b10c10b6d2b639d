"""Raw results and the page made from them: kept at once, found again, told with machine and date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import race
from benchmarks.machine import machine, source_digest
from benchmarks.record import Record, counted, days, digits, middle, newest
from benchmarks.scenarios import ROOT, SCENARIOS, Scenario, listed


def test_a_run_is_found_again_by_its_key_only(tmp_path: Path) -> None:
    record = Record("peers", tmp_path)
    record.add({"scenario": "digits", "repeat": 0}, {"seconds": 1.5})
    record.add({"scenario": "digits", "repeat": 1}, {"seconds": 2.5})
    found = Record("peers", tmp_path).find(scenario="digits", repeat=1)
    assert found is not None and found["seconds"] == 2.5
    assert record.find(scenario="digits", repeat=2) is None
    assert Record("scaling", tmp_path).runs == []


def test_a_run_of_the_same_key_replaces_the_older_one(tmp_path: Path) -> None:
    record = Record("peers", tmp_path)
    for seconds in (1.0, 2.0):
        record.add({"repeat": 0}, {"seconds": seconds})
    assert [run["seconds"] for run in record.runs] == [2.0]


def test_a_run_of_newer_code_replaces_that_of_older_code(tmp_path: Path) -> None:
    record = Record("peers", tmp_path)
    for repeat, code in ((0, "old"), (1, "old"), (0, "new")):
        record.add({"repeat": repeat, "code": code}, {})
    assert [(run["repeat"], run["code"]) for run in record.runs] == [(1, "old"), (0, "new")]
    assert record.find(repeat=1, code="new") is None


def test_runs_of_another_machine_do_not_count_and_are_not_lost(tmp_path: Path) -> None:
    record = Record("peers", tmp_path)
    record.add({"repeat": 0}, {"seconds": 1.0})
    path = tmp_path / "results" / "peers.json"
    path.write_text(path.read_text().replace(json.dumps(machine()["cpu"]), '"another processor"'))
    assert record.runs == []
    record.add({"repeat": 0}, {"seconds": 2.0})
    assert [run["seconds"] for run in record.runs] == [2.0]
    assert [run["seconds"] for run in json.loads(path.read_text())["runs"]] == [1.0, 2.0]


def test_fresh_finds_only_what_it_made_itself_and_deletes_nothing(tmp_path: Path) -> None:
    Record("peers", tmp_path).add({"scenario": "lenet300"}, {})
    Record("peers", tmp_path).add({"scenario": "digits"}, {"seconds": 1.0})
    record = Record("peers", tmp_path, fresh=True)
    assert record.find(scenario="digits") is None
    record.add({"scenario": "digits"}, {"seconds": 2.0})
    found = record.find(scenario="digits")
    assert found is not None and found["seconds"] == 2.0
    assert {run["scenario"] for run in record.runs} == {"lenet300", "digits"}


def test_the_page_has_one_block_per_benchmark_however_often_it_is_made(tmp_path: Path) -> None:
    for name in ("peers", "scaling", "peers"):
        record = Record(name, tmp_path)
        record.add({"repeat": 0}, {})
        block = record.publish(f"table of {name}")
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("table of peers") == page.count("table of scaling") == 1
    assert block in page
    assert machine()["cpu"] in block and record.runs[0]["date"] in block


def test_runs_of_older_code_are_left_out_scenario_by_scenario() -> None:
    made = (("lenet300", "new", 30), ("lenet300", "old", 20), ("lenet5", "old", 20), ("lenet300", "new", 29))
    runs = [{"scenario": name, "code": code, "date": f"2026-11-{day} 10:00 UTC"} for name, code, day in made]
    assert newest(runs) == [runs[0], *runs[2:]]
    assert newest([]) == []
    assert days(runs) == "2026-11-20 to 2026-11-30" and days(runs[:1]) == "2026-11-30"


def test_one_is_said_in_a_word() -> None:
    assert [counted(n) for n in (1, 3)] == ["one run", "3 runs"]
    assert [counted(n, "seed", "seeds") for n in (1, 2)] == ["one seed", "2 seeds"]


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.1234, "0.123"), (2.345, "2.35"), (23.45, "23.4"), (2345.6, "2346")])
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_a_median_is_told_with_its_span() -> None:
    assert middle([3.0, 1.0, 2.0]) == "2.00 (1.00 to 3.00)"
    assert middle([3.0]) == "3.00"


def test_a_digest_changes_with_what_is_measured(tmp_path: Path) -> None:
    assert source_digest("benchmarks/policies.yaml") == source_digest("benchmarks/policies.yaml")
    assert source_digest("benchmarks/policies.yaml") != source_digest("benchmarks/scenarios.py")
    with pytest.raises(ValueError, match="no such file"):
        source_digest("benchmarks/nothing.py")


class Contestants:
    """Contestants that take no time, and note that they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def of(self, name: str, seconds: float) -> Any:
        def run(scenario: Scenario, policies: list[dict[str, Any]], data_dir: str | None, seed: int) -> dict[str, Any]:
            self.ran.append(name)
            rows = [{"accuracy": 0.9, "test_accuracy": 0.9 + 0.01 * i + 0.001 * seed, "params": 10} for i in range(len(policies))]
            more = {"trained": 6, "asked": 10, "epoch_seconds": 0.5, "run": {}} if name == "prunesearch" else {}
            return {"seconds": seconds, "rows": rows, **more}

        return run


@pytest.fixture
def contestants(monkeypatch: pytest.MonkeyPatch) -> Contestants:
    made = Contestants()
    times = {"tutorial": 40.0, "expert": 12.0, "prunesearch": 4.0}
    monkeypatch.setattr(race, "CONTESTANTS", {name: made.of(name, seconds) for name, seconds in times.items()})
    monkeypatch.setattr(race, "epoch_seconds", lambda *_: 0.1)
    monkeypatch.setattr(race, "start_seconds", lambda: 1.0)
    return made


def ran(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> None:
    given = ["peers", "--scenario", "digits", "--contestants", "tutorial", "expert", "prunesearch", "--to", str(folder), *more]
    monkeypatch.setattr("sys.argv", given)
    race.main()


def test_the_race_takes_turns_and_goes_on_where_it_stopped(
    contestants: Contestants, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran(monkeypatch, tmp_path, "--repeats", "1")
    ran(monkeypatch, tmp_path, "--repeats", "2")
    assert contestants.ran == ["tutorial", "expert", "prunesearch", "expert", "prunesearch", "tutorial"]
    ran(monkeypatch, tmp_path, "--repeats", "2")
    assert len(contestants.ran) == 6
    monkeypatch.setattr(race, "OURS", ("benchmarks/race.py",))
    ran(monkeypatch, tmp_path, "--repeats", "2")
    assert contestants.ran[6:] == ["prunesearch", "prunesearch"]


def test_the_race_tells_times_bound_and_accuracies(
    contestants: Contestants, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(monkeypatch, tmp_path)
    told, page = capsys.readouterr().out, (tmp_path / "RESULTS.md").read_text()
    assert "9 of 9 runs: about" in told
    assert "| prunesearch | 3 | 4.00 (4.00 to 4.00) | 10.0 (10.0 to 10.0) | 3.00 (3.00 to 3.00) |" in page
    assert "6 of 10 epochs trained, each 0.5 (0.5 to 0.5) s, validation included; two workers that do nothing else need" in page
    assert "need 1.50 (1.50 to 1.50) s, it took 2.67 (2.67 to 2.67) times as long (medians of 3 runs, and their spans)." in page
    policies = listed(SCENARIOS["digits"])
    last = f"{policies[-1]['threshold']:g} from {policies[-1]['epoch_threshold']} | 1.1310 | 1.1310 | 1.1310 |"
    assert last in page
    assert "| mean deviation |  |  |  | 0.0010 | 0.0010 | 0.0010 |" in page


def test_everything_listed_exists() -> None:
    from benchmarks.__main__ import BENCHMARKS, listing

    ours = {name for name, (module, _) in BENCHMARKS.items() if (ROOT / f"{module.replace('.', '/')}.py").exists()}
    assert {"peers", "overhead", "scaling", "breakdown", "growth", "adaptive", "quickstart_front"} <= ours
    assert all(f"  {name} " in listing() for name in ours)

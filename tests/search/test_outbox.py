"""A database that is away: patience, files, and nothing lost on the way there and back."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunesearch.errors import StoreError
from prunesearch.results import EpochRow, LayerRow, Result, Timings
from prunesearch.search import events
from prunesearch.search.outbox import Letter, Outbox
from prunesearch.store import Store
from tests.search.conftest import Bench
from tests.search.parts import measures, result, spec

LETTER = Letter("s", 3, "2026-01-01T00:00:00.000+00:00", "d3", result(), {"accuracy": 0.5}, feasible=True)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes without waiting."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(found))
    return found


class Away:
    """Fails so many times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.written: list[Any] = []

    def __call__(self, letter: Any = None) -> str:
        if self.left:
            self.left -= 1
            raise StoreError("store: gone")
        self.written.append(letter)
        return "done"


def test_it_tries_again_with_growing_pauses(tmp_path: Path, pauses: list[float]) -> None:
    warned: list[str] = []
    assert Outbox(tmp_path, "sqlite:///a.db", warned.append).patiently(Away(9)) == "done"
    assert pauses == sorted(pauses)
    assert pauses[-1] == 15.0
    assert warned == ["store: gone; trying again for up to 300 s"]


def test_patience_ends_and_the_result_is_in_a_file(tmp_path: Path, pauses: list[float]) -> None:
    box = Outbox(tmp_path, "sqlite:///a.db", lambda _: None)
    with pytest.raises(StoreError, match="store: gone") as caught:
        box.send(LETTER, Away(10**6))
    assert "the same command writes it" in str(caught.value.hint)
    assert sum(pauses) <= 300
    again = Away(0)
    assert Outbox(tmp_path, "sqlite:///b.db", lambda _: None).replay("s", again) == 0  # another store
    assert box.replay("other", again) == 0
    assert box.replay("s", again) == 1
    assert again.written == [LETTER]
    assert list(box.kept("s")) == []


def test_a_file_stays_until_it_is_written(tmp_path: Path) -> None:
    box = Outbox(tmp_path, "sqlite:///a.db", lambda _: None)
    box.keep(LETTER)
    with pytest.raises(StoreError):
        box.replay("s", Away(1))
    assert [letter for _, letter in box.kept("s")] == [LETTER]


def test_what_is_no_result_is_left_alone_and_told(tmp_path: Path) -> None:
    warned: list[str] = []
    box = Outbox(tmp_path, "sqlite:///a.db", warned.append)
    path = box.keep(LETTER)
    for name, text in (("half", path.read_text()[:50]), ("other", '{"study": "s"}'), ("list", "[]")):
        path.with_name(f"{name}.json").write_text(text)
    assert [letter for _, letter in box.kept("s")] == [LETTER]
    assert len(warned) == 3
    assert path.with_name("half.json").exists()


def test_a_store_in_the_current_folder_is_that_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(url: str, folder: str) -> list[Letter]:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        return [letter for _, letter in Outbox(tmp_path / "home", url, lambda _: None).kept("s")]

    assert kept("sqlite:///a.db", "digits") == []
    Outbox(tmp_path / "home", "sqlite:///a.db", lambda _: None).keep(LETTER)
    assert kept("sqlite:///a.db", "iris") == []
    assert kept(f"sqlite:///{tmp_path}/digits/a.db", "iris") == kept("sqlite:///a.db", "digits") == [LETTER]


def test_neither_database_nor_disk(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where a folder should be")
    box = Outbox(tmp_path / "home", "sqlite:///a.db", lambda _: None, patience=0.0)
    with pytest.raises(StoreError, match=r"store: gone; and trial 3 cannot be kept in .*: Not a directory") as caught:
        box.send(LETTER, Away(1))
    assert "run again" in str(caught.value.hint)


def interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search that the database leaves alone with the result of trial 3: the file that it is kept in."""

    def away(self: Store, study: str, number: int, *given: Any, **named: Any) -> bool:
        if number == 3:
            raise StoreError("store: gone")
        return real(self, study, number, *given, **named)

    real = Store.record_result
    monkeypatch.setattr(Store, "record_result", away)
    with pytest.raises(StoreError, match="gone"):
        bench.search(spec(trials=6), patience=0.0)
    monkeypatch.setattr(Store, "record_result", real)
    (path,) = (bench.home / "outbox").rglob("*.json")
    return path


def set_aside(bench: Bench, path: Path, why: str) -> bool:
    (warned,) = [e.text for e in bench.told(events.Warned) if "set aside" in e.text]
    return why in warned and not path.exists() and path.with_suffix(".aside").exists()


def test_what_was_kept_is_written_by_the_next_search(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(bench, monkeypatch)
    assert bench.search(spec(trials=6)).done == 6
    assert [e.number for e in bench.told(events.TrialStarted)].count(3) == 1
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"made": "2026-01-01"}, "study 's' was made anew since"),
        ({"number": 30}, "the study has no trial 30"),
        ({"digest": "d3"}, "trial 3 has another policy now"),
    ],
)
def test_a_result_of_another_trial_is_set_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], why: str
) -> None:
    path = interrupted(bench, monkeypatch)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert bench.search(spec(trials=6)).done == 6
    assert set_aside(bench, path, why)
    assert [e.number for e in bench.told(events.TrialStarted)].count(3) == 2


@pytest.mark.parametrize(("before", "why"), [(0, "study 's' was made anew since"), (2, "the study has no trial 3")])
def test_a_study_begun_anew_or_restored_goes_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, why: str
) -> None:
    file, copy = tmp_path / "store.db", tmp_path / "copy"
    if before:
        bench.search(spec(trials=before))
        bench.store.close()
        shutil.copy(file, copy)
    path = interrupted(bench, monkeypatch)
    bench.store.close()
    copy.replace(file) if before else file.unlink()
    with Store.open(bench.store.url, write=True) as bench.store:
        assert bench.search(spec(trials=6)).done == 6
        assert set_aside(bench, path, why)


def test_the_result_of_a_trial_that_was_given_up_meanwhile_is_set_aside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(bench, monkeypatch)
    assert bench.store.lose_trial("s", 3, "its driver died")
    assert bench.search(spec(trials=6)).done == 6
    assert set_aside(bench, path, "trial 3 was given up meanwhile")


def test_other_errors_are_not_waited_for(tmp_path: Path) -> None:
    def broken() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        Outbox(tmp_path, "sqlite:///a.db", lambda _: None).patiently(broken)


@pytest.mark.parametrize(
    "found",
    [
        Result("failed", None, reason="NaN", trace="Traceback\n ...", timings=Timings(train=1.5)),
        result(),
        Result(
            "infeasible",
            measures(),
            epochs=(EpochRow(0, math.nan, 0.5, 1e-3, 0.1, 2.0, shared=True),),
            layers=(LayerRow("fc1", "neuron", 3, 30),),
            notes=("ä", "b"),
            report={"f1": [0.5, {"a": 1}]},
            latency_shared=True,
            epochs_trained=4,
        ),
    ],
)
def test_a_result_comes_back_as_it_was(found: Result) -> None:
    back = Letter.from_json(replace(LETTER, result=found).to_json())
    assert repr(back.result) == repr(found)  # NaN equals itself only in writing

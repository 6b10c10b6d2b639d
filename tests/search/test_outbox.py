"""A database that is away: patience, files, and nothing lost on the way there and back."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from prunesearch.errors import StoreError
from prunesearch.results import EpochRow, LayerRow, Result, Timings
from prunesearch.search.outbox import Letter, Outbox
from tests.search.parts import measures, result

LETTER = Letter("s", 3, result(), {"accuracy": 0.5}, feasible=True)


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
    back = Letter.from_json(Letter("s", 1, found).to_json())
    assert repr(back.result) == repr(found)  # NaN equals itself only in writing

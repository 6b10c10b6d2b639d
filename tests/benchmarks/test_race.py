"""Who runs in a race, in which order, and what is said of its runs."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from benchmarks.race import _epochs, _times, _turn, named, ratios
from benchmarks.scenarios import SCENARIOS

RUN: dict[str, Any] = {"seconds": 10.0, "trained": 60, "asked": 100, "epoch_seconds": 0.25, "rows": [], "repeat": 0}


def test_contestants_are_named_by_name_or_letter() -> None:
    assert named("a,c,d") == ["tutorial", "expert", "prunesearch"]
    assert named("fast") == named("e") == ["fast"]
    with pytest.raises(argparse.ArgumentTypeError, match="did you mean 'expert'"):
        named("expart")


def test_everybody_comes_first_once_and_nobody_twice() -> None:
    asked = argparse.Namespace(contestants=[["expert", "fast"], ["prunesearch", "fast"]])
    turns = [_turn(SCENARIOS["digits"], asked, repeat) for repeat in range(3)]
    assert [turn[0] for turn in turns] == ["expert", "fast", "prunesearch"]
    assert {frozenset(turn) for turn in turns} == {frozenset(("expert", "fast", "prunesearch"))}
    assert _turn(SCENARIOS["digits"], argparse.Namespace(contestants=None), 0) == list(SCENARIOS["digits"].contestants)


def test_times_are_compared_repeat_by_repeat() -> None:
    ours = [{**RUN, "repeat": 0, "seconds": 10.0}, {**RUN, "repeat": 1, "seconds": 20.0}]
    expert = [{**RUN, "repeat": 1, "seconds": 60.0}, {**RUN, "repeat": 2, "seconds": 1.0}, {**RUN, "repeat": 0, "seconds": 20.0}]
    assert ratios(expert, ours) == [3.0, 2.0]
    rows = {line.split("|")[1].strip(): line for line in _times({"expert": expert, "prunesearch": ours}).splitlines()}
    assert "2.50 (2.00 to 3.00)" in rows["prunesearch"]
    alone = {"tutorial": [{**RUN, "repeat": 5}], "prunesearch": ours}
    assert _times(alone).splitlines()[-1].endswith("| - |")


def test_fast_is_told_with_and_without_its_exact_front() -> None:
    runs = {"expert": [{**RUN, "seconds": 40.0}], "fast": [{**RUN, "before": 8.0, "again": 5}]}
    rows = {line.split("|")[1].strip(): line for line in _times(runs).splitlines()}
    assert "4.00" in rows["fast"]
    assert "5.00" in rows["fast, its front not measured again"]


def test_the_bound_is_told_of_all_runs() -> None:
    told = _epochs({"fast": [{**RUN, "before": 8.0, "again": 5}]})
    assert "60 of 100 epochs trained, each 0.25 s, validation included" in told
    assert "need 7.50 s, it took 1.07 times as long (one run)" in told
    assert "Then 5 networks were trained again" in told
    three = [{**RUN, "before": 8.0 * k, "again": 5 * k, "epoch_seconds": 0.25 * k} for k in (1, 2, 3)]
    told = _epochs({"fast": three})
    assert "each 0.5 (0.25 to 0.75) s" in told and "need 15.0 (7.50 to 22.5) s, it took 1.07 (1.07 to 1.07) times" in told
    assert "Then 5 to 15 networks were trained again" in told

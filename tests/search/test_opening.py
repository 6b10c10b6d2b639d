"""What a stored study says of another definition, and how many trials it shall have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import StudyError
from prunesearch.measure.processor import processor
from prunesearch.results import TaskInfo
from prunesearch.search import opening
from prunesearch.search.opening import find, open_study, refuse_changes, resolved, total_of
from prunesearch.store import Ticket
from tests.search.conftest import Bench
from tests.search.parts import STAGES, info, spec


def test_nothing_is_left_open() -> None:
    full = resolved(spec(trials=6), 6, None, info(STAGES, epochs=7))
    assert (full.epochs, full.tie_ratios, full.trials) == (7, True, 6)
    assert resolved(spec(trials=600), 600, None, info(STAGES)).tie_ratios is False


def test_what_was_decided_once_stays_decided(bench: Bench) -> None:
    first = open_study(bench.store, spec(trials=6), None, 6, info(STAGES, epochs=7))
    assert first.spec.tie_ratios is True
    again = open_study(bench.store, spec(trials=600), find(bench.store, "s"), 600, info(STAGES, epochs=9))
    assert (again.spec.tie_ratios, again.spec.epochs, again.spec.trials) == (True, 7, 600)
    assert again.space.ratios == first.space.ratios
    assert bench.store.study("s").spec == again.spec.to_dict()


def test_trials_are_the_studys_total(bench: Bench) -> None:
    opened = open_study(bench.store, spec(trials=6), None, 6, info())
    assert total_of(spec(trials=9), opened.record, None, ()) == 9
    assert total_of(spec(trials=9), opened.record, 4, ()) == 10
    assert total_of(spec(trials=9), None, 4, ()) == 13


@pytest.mark.parametrize(
    ("states", "total", "four_more"),
    [("dddddddd", 8, 12), ("dddddddt", 8, 12), ("dddddddo", 7, 11), ("dodo", 6, 10), ("ooooooooo", 6, 10)],
)
def test_what_was_begun_counts_among_the_total(bench: Bench, states: str, total: int, four_more: int) -> None:
    record = open_study(bench.store, spec(trials=6), None, 6, info()).record
    words: dict[str, Literal["open", "taken", "done"]] = {"d": "done", "t": "taken", "o": "open"}
    tickets = [Ticket(n, n, words[state], None, None) for n, state in enumerate(states)]
    assert total_of(spec(trials=6), record, None, tickets) == total
    assert total_of(spec(trials=6), record, 4, tickets) == four_more


def test_who_was_slower_joins_the_study(bench: Bench) -> None:
    first = open_study(bench.store, spec(trials=6), None, 6, info())
    second = open_study(bench.store, spec(trials=8), None, 8, info())
    assert (first.resumed, second.resumed, second.quiet) == (False, True, False)
    assert second.record == first.record
    assert bench.store.study("s").spec["trials"] == 8
    with pytest.raises(StudyError, match="seed: was 0, is now 1"):
        open_study(bench.store, spec(trials=6, seed=1), None, 6, info())


def test_a_study_that_another_driver_has_begun_meanwhile_is_joined(bench: Bench) -> None:
    class Slow(FakeEngine):
        def describe(self) -> TaskInfo:
            if not bench.store.studies():
                bench.search(spec(trials=4))
            return super().describe()

    outcome = bench.search(spec(trials=6), engine=Slow(EngineSpec("digits-mlp")))
    assert (outcome.done, len(bench.store.tickets("s"))) == (6, 6)


def on(device: str) -> TaskInfo:
    return replace(info(), device=device)


def test_latencies_of_two_kinds_of_devices_are_never_compared(bench: Bench) -> None:
    said = spec(trials=6, objectives=["accuracy", "latency_ms"])
    open_study(bench.store, said, None, 6, on("cuda:0 NVIDIA H200"))
    assert open_study(bench.store, said, find(bench.store, "s"), 6, on("cuda:1 NVIDIA H200")).notes == ()
    for other in ("cpu", "cuda:0 NVIDIA A100"):
        with pytest.raises(StudyError, match="measured on NVIDIA H200; here they would be") as caught:
            open_study(bench.store, said, find(bench.store, "s"), 6, on(other))
        assert "--device" in str(caught.value.hint)


@pytest.mark.parametrize("said", [{"objectives": ["accuracy", "params"]}, {"latency": {"device": "cpu"}}])
def test_any_device_will_do_where_its_latency_is_not_compared(bench: Bench, said: dict[str, Any]) -> None:
    open_study(bench.store, spec(trials=6, **said), None, 6, on("cuda:0 NVIDIA H200"))
    assert open_study(bench.store, spec(trials=6, **said), find(bench.store, "s"), 6, on("cpu")).resumed


def test_another_processor_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    open_study(bench.store, spec(trials=6), None, 6, info())
    assert open_study(bench.store, spec(trials=6), find(bench.store, "s"), 6, info()).notes == ()
    assert bench.store.study("s").environment["processor"] == processor()
    monkeypatch.setattr(opening, "processor", lambda: "another one")
    (note,) = open_study(bench.store, spec(trials=6), find(bench.store, "s"), 6, info()).notes
    assert "new ones are another one's" in note


def test_every_difference_is_told() -> None:
    old = spec(space={"threshold": [0.3, 0.9], "ratio": {"fc1": 0.5}, "scope": "layer"}, constraints={"params": "<= 5"})
    new = spec(space={"threshold": 0.5, "ratio": {"fc1": 0.6}, "criterion": ["l1", "l2"]}, constraints={"accuracy": ">= 0.5"})
    with pytest.raises(StudyError) as caught:
        refuse_changes(old, new)
    for line in (
        "space.threshold: was [0.3, 0.9], is now 0.5",
        "space.ratio.fc1: was 0.5, is now 0.6",
        "space.scope: was layer, is now not given",
        "space.criterion: was not given, is now l1, l2",
        "constraints.params: was <= 5, is now not given",
        "constraints.accuracy: was not given, is now >= 0.5",
    ):
        assert line in str(caught.value)


def test_the_same_in_other_words_is_the_same() -> None:
    refuse_changes(spec(space={"scope": "layer"}), spec(space={"scope": ["layer"]}))
    refuse_changes(spec(space={"ratio": [0.1, 0.5]}), spec(space={"ratio": {"default": {"low": 0.1, "high": 0.5}}}))

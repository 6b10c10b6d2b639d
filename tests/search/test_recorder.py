"""From results to both sets of tables: Optuna is told what is stored, and equal shapes have one latency, whoever drives."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from prunesearch.errors import InfeasibleError, StoreError
from prunesearch.results import Job, Result
from prunesearch.search import events
from prunesearch.search.judge import GUARD
from prunesearch.search.memory import Memory
from prunesearch.store import Store, TrialRecord
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import WORDS, Wrapped, optuna_trials

BOUNDS = {"accuracy": ">= dense - 0.05", "params": "<= dense * 0.9"}


def told(record: TrialRecord) -> dict[str, float]:
    """The constraints that Optuna holds of a trial: those of the store, and that nothing was removed from its network."""
    return {**record.violations, **({GUARD: 1.0} if record.reason == "nothing was removed" else {})}


def test_what_optuna_was_told_is_what_is_stored(bench: Bench) -> None:
    bench.search(spec(trials=12, constraints={"accuracy": ">= dense - 0.05", "params": "<= dense * 0.9"}))
    records = {r.number: r for r in bench.store.trials("s")}
    for trial in optuna_trials(bench):
        record = records[trial.number]
        assert record.measures is not None
        assert trial.state == TrialState.COMPLETE
        assert trial.values == [record.measures.accuracy, record.measures.params, record.measures.latency_ms]
        assert trial.constraints == told(record)
        assert record.feasible == all(v <= 0 for v in trial.constraints.values())
        assert record.digest == record.policy.digest


def test_a_duplicate_is_told_what_the_first_was_told(bench: Bench) -> None:
    ranges = {"threshold": {"choices": [0.001, 0.3, 0.8]}, "epoch_threshold": {"choices": [1, 2]}}
    fixed = {"schedule_type": "magnitude_percentage", "function": "one_shot_static", "scope": "layer", "recovery": "keep"}
    space = {**fixed, **ranges, "granularity": "neuron", "criterion": "l1", "lr_restart": False}
    bench.search(spec(space=space, trials=8, constraints=BOUNDS))
    records = {r.number: r for r in bench.store.trials("s")}
    held = {t.number: t.constraints for t in optuna_trials(bench)}
    duplicates = bench.told(events.Duplicate)
    assert all(held[d.number] == held[d.of] == told(records[d.of]) for d in duplicates)
    kinds = {(record.feasible, GUARD in told(record)) for record in (records[d.of] for d in duplicates)}
    assert kinds == {(True, False), (False, False), (False, True)}


def test_what_was_written_and_not_told_is_told_the_same_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bool:
        raise StoreError("store: gone")

    said = spec(trials=1, constraints={"params": "<= 5"})
    real = Memory.tell
    monkeypatch.setattr(Memory, "tell", away)
    with pytest.raises(StoreError, match="gone"):
        bench.search(said, patience=0.0)
    monkeypatch.setattr(Memory, "tell", real)
    assert [t.state for t in optuna_trials(bench)] == [TrialState.RUNNING]
    with pytest.raises(InfeasibleError):
        bench.search(spec(trials=2, constraints={"params": "<= 5"}))
    records = {r.number: r for r in bench.store.trials("s")}
    assert [(t.state, t.constraints) for t in optuna_trials(bench)] == [(TrialState.COMPLETE, told(records[n])) for n in (0, 1)]


def test_equal_shapes_are_told_one_latency(bench: Bench) -> None:
    def noisy(job: Job, result: Result) -> Result:
        m = result.measures
        if job.policy is None or m is None or m.latency_ratio is None or result.latency_shared:
            return result
        shaken = m.latency_ratio * (1 + 0.004 * (job.number % 5 - 2))
        return replace(result, measures=replace(m, latency_ratio=shaken, latency_ratio_iqr=0.01, latency_ms=9.9))

    engine = Wrapped(noisy)
    bench.search(spec(trials=20, space=WORDS), engine=engine)
    records = bench.store.trials("s")
    latencies = {
        r.signature: {x.measures.latency_ms for x in records if x.measures and x.signature == r.signature} for r in records
    }
    assert all(len(found) == 1 for found in latencies.values())
    dense = bench.store.study("s").dense
    assert dense is not None
    assert latencies[dense.signature] == {dense.measures.latency_ms}  # pruned weights are as fast as the dense network
    last = engine.jobs[-1]
    assert set(last.known_latency) >= {r.signature for r in records[:-1]}


@pytest.mark.parametrize(("shape", "ours", "theirs"), [("one", 0.5, 0.53), ("shape {}", 0.5, 0.505)])
def test_drivers_that_measure_at_the_same_time_tell_one_latency(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, ours: float, theirs: float
) -> None:
    def measuring(ratio: float) -> Wrapped:
        def change(job: Job, result: Result) -> Result:
            if job.policy is None or result.measures is None:
                return result
            found = replace(result.measures, latency_ratio=ratio, latency_ratio_iqr=0.0)
            return replace(result, signature=shape.format(job.number), measures=found)

        return Wrapped(change)

    def drive() -> None:
        with Store.open(bench.store.url, write=True) as store:
            Bench(store, tmp_path).search(spec(trials=6), engine=measuring(theirs))

    real, others = Store.record_result, [threading.Thread(target=drive)]

    def late(self: Store, *given: Any, **named: Any) -> bool:
        while others:
            other = others.pop()
            other.start()
            other.join()
        return real(self, *given, **named)

    monkeypatch.setattr(Store, "record_result", late)
    bench.search(spec(trials=6), engine=measuring(ours))
    records, dense = bench.store.trials("s"), bench.store.study("s").dense
    assert dense is not None
    assert dense.measures.latency_ms is not None
    assert [r.measures.latency_ratio for r in records if r.measures] == [ours, *[theirs] * 5]
    assert [r.measures.latency_ms for r in records if r.measures] == [theirs * dense.measures.latency_ms] * 6

"""Slots that the dense reference leaves idle: what they are given, that nothing depends on it, and who counts its epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.engines.process import ProcessEngine
from prunesearch.engines.serial import SerialEngine
from prunesearch.results import Job, TaskInfo
from prunesearch.search.driver import run_search
from prunesearch.store import Store, TrialRecord
from tests.search.conftest import Bench
from tests.search.parts import MLP, info, spec

OWN = [{"threshold": 0.4 + 0.1 * i, "granularity": "weight", "epoch_threshold": first} for i, first in enumerate((2, 1, 2, 1))]


class Noting(FakeEngine):
    """A fake engine that notes its jobs."""

    def __init__(self, slots: int, **fake: Any) -> None:
        super().__init__(EngineSpec("digits-mlp", workers=slots), **fake)
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        super().submit(job)


@pytest.mark.parametrize(("slots", "which"), [(1, []), (2, [0, 2]), (3, [0, 1, 3]), (8, [0, 1, 2, 3])])
def test_two_policies_run_ahead_for_every_idle_slot(bench: Bench, slots: int, which: list[int]) -> None:
    engine = Noting(slots)
    outcome = bench.search(spec(trials=6, start=OWN), engine=engine, shared=True)
    first, ahead, trials = engine.jobs[0], engine.jobs[1 : 1 + len(which)], engine.jobs[1 + len(which) :]
    assert (first.number, first.policy) == (-1, None)
    assert [job.number for job in ahead] == [-2 - i for i in range(len(which))]
    assert [job.policy for job in ahead] == [trials[i].policy for i in which]
    assert all(job.ahead and not job.test and job.latency is None and job.keep_to is None for job in ahead)
    assert not any(job.ahead for job in trials)
    assert outcome.done == 6
    assert [r.state for r in bench.store.trials("s")] == ["complete"] * 6


def test_nothing_runs_ahead_that_is_not_asked_for(bench: Bench) -> None:
    engine = Noting(2)
    bench.search(spec(trials=2, start=OWN), engine=engine, shared=True)
    assert [job.number for job in engine.jobs] == [-1, -2, 0, 1]


@pytest.mark.parametrize("fault", ["fail", "lost", "slow", "nan"])
def test_whatever_becomes_of_them_the_study_is_the_same(bench: Bench, fault: Any, tmp_path: Path) -> None:
    said = spec(trials=8, start=OWN)
    bench.search(said, engine=Noting(3, faults={-2: [fault], -3: [fault]}), shared=True)
    with Store.open(f"sqlite:///{tmp_path / 'plain.db'}", write=True) as plain, Noting(3) as engine:
        run_search(said, plain, engine, home=tmp_path / "home")
        assert figures(bench.store) == figures(plain)


@pytest.mark.parametrize(("shared", "known"), [(False, {}), (True, {"shares": False}), (True, {"weights_given": True})])
def test_nothing_runs_ahead_where_it_would_be_for_nothing(bench: Bench, shared: bool, known: dict[str, Any]) -> None:
    told = TaskInfo(**{**vars(info(MLP)), **known})
    engine = Noting(3, info=told)
    bench.search(spec(trials=2, start=OWN[:1]), engine=engine, shared=shared)
    assert [job.number for job in engine.jobs] == [-1, 0, 1]


def test_a_study_that_goes_on_has_no_idle_slots(bench: Bench) -> None:
    bench.search(spec(trials=2, start=OWN), engine=Noting(3), shared=True)
    engine = Noting(3)
    bench.search(spec(trials=4, start=OWN), engine=engine, shared=True)
    assert [job.number for job in engine.jobs] == [2, 3]


def test_epochs_that_were_trained_ahead_are_counted_once_and_change_no_bit(tmp_path: Path) -> None:
    """Two workers that share, one of them ahead, against one that trains every trial from scratch."""
    said = spec(trials=4, epochs=3, start=OWN, engine="process", objectives=["accuracy", "params"])
    folder = tmp_path / "stages"
    plain = EngineSpec("digits-mlp", 3, device="cpu")
    with Store.open(f"sqlite:///{tmp_path / 'shared.db'}", write=True) as store:
        with ProcessEngine(replace(plain, workers=2, stages=str(folder))) as engine:
            run_search(said, store, engine, home=tmp_path / "home", shared=True)
        shared, dense = figures(store), store.study("s").dense
        trained = sum(r.epochs_trained for r in store.trials("s"))
    with Store.open(f"sqlite:///{tmp_path / 'alone.db'}", write=True) as store:
        with SerialEngine(plain) as engine:
            run_search(said, store, engine, home=tmp_path / "home")
        assert figures(store) == shared
    stages = [json.loads(path.read_text()) for path in folder.glob("*/*.json")]
    assert dense is not None
    assert trained + sum(not row.shared for row in dense.epochs) == len(stages)
    assert not any(stage["ahead"] for stage in stages)


def figures(store: Store) -> dict[str, Any]:
    """What was measured, by policy; clocks and who trained what left out."""
    return {record.digest: _bare(record) for record in store.trials("s")}


def _bare(record: TrialRecord) -> Any:
    measures = record.measures
    return record.state, record.signature, measures and (measures.accuracy, measures.test_accuracy, measures.params)

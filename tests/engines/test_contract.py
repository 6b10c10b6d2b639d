"""All engines against the contract, and against each other."""

from __future__ import annotations

from typing import Any

import pytest

from prunesearch.engines import ENGINES, Engine, EngineSpec, open_engine
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import TaskError, UsageError
from prunesearch.results import Job, LatencySpec, Result
from tests.engines.contract import EngineContract, drain, job, numbers

POLICIES: tuple[dict[str, Any], ...] = (
    {"function": "gradual", "threshold": 0.8, "epoch_threshold": 1, "converge_over": 2, "scope": "global"},
    {"function": "one_shot", "granularity": "neuron", "criterion": "l2"},
    {"function": "one_shot_static", "granularity": "neuron", "recovery": "reinit", "epoch_threshold": 2},
    {"function": "iterative", "prune_iter": 2, "recovery": "rewind_weights", "lr_restart": True, "criterion": "random"},
)


class TestSerial(EngineContract):
    @classmethod
    def open(cls, **changes: Any) -> Engine:
        return open_engine("serial", EngineSpec(**{**cls.SPEC, **changes}))


class TestProcess(EngineContract):
    @classmethod
    def open(cls, **changes: Any) -> Engine:
        return open_engine("process", EngineSpec(**{**cls.SPEC, **changes}))


class TestFake(EngineContract):
    @classmethod
    def open(cls, **changes: Any) -> Engine:
        spec = EngineSpec(**{**cls.SPEC, **changes})
        error = None if spec.task == "digits-mlp" else TaskError(f"task '{spec.task}' is unknown")
        return FakeEngine(spec, faults={99: ["fail"]}, error=error)


class TestSlowFake(TestFake):
    @classmethod
    def open(cls, **changes: Any) -> Engine:
        spec = EngineSpec(**{**cls.SPEC, **changes})
        error = None if spec.task == "digits-mlp" else TaskError(f"task '{spec.task}' is unknown")
        return FakeEngine(spec, seconds=0.02, faults={99: ["fail"]}, error=error)


def results(kind: str, jobs: list[Job], workers: int) -> dict[int, Result]:
    with open_engine(kind, EngineSpec("digits-mlp", device="cpu", workers=workers)) as engine:
        for one in jobs:
            engine.submit(one)
        return {o.job.number: o.result for o in drain(engine, len(jobs)) if o.result is not None}


def test_serial_and_process_agree_bit_for_bit() -> None:
    jobs = [job(n, epochs=4, **policy) for n, policy in enumerate(POLICIES)]
    jobs.append(Job(-1, None, epochs=4, seed=0))
    here, there = results("serial", jobs, 1), results("process", jobs, 2)
    assert set(here) == set(there) == {-1, 0, 1, 2, 3}
    for number, result in here.items():
        assert result.measures is not None
        assert numbers(result) == numbers(there[number])


def test_latency_comes_with_the_measures() -> None:
    with open_engine("serial", EngineSpec("digits-mlp", device="cpu")) as engine:
        engine.submit(Job(-1, None, epochs=1, seed=0, latency=LatencySpec()))
        dense = drain(engine, 1)[0].result
    assert dense is not None and dense.measures is not None
    assert dense.measures.latency_ms is not None and 0.001 < dense.measures.latency_ms < 10
    assert dense.measures.latency_ratio == 1.0


def test_unknown_engines_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'process'"):
        open_engine("proces", EngineSpec("digits-mlp"))
    assert set(ENGINES) == {"serial", "process", "fake"}


def test_a_task_object_runs_in_the_serial_engine_alone() -> None:
    import torch

    import prunesearch.tasks as tasks

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator)
    task = tasks.Task(
        model=lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)),
        train=(x, (x.sum(1) > 0).long()),
        epochs=2,
        lr=0.05,
        batch_size=16,
    )
    with pytest.raises(UsageError, match="cannot run a Task object"):
        open_engine("process", EngineSpec("mine"), task=task)
    with open_engine("serial", EngineSpec("mine", device="cpu"), task=task) as engine:
        assert (engine.describe().name, engine.describe().params) == ("mine", 58)
        engine.submit(job(1, epochs=2))
        result = drain(engine, 1)[0].result
    assert result is not None and result.state == "complete"

"""What every engine has to do. Whoever writes one subclasses `EngineContract`, says how it is opened, and has the tests.

class TestMine(EngineContract):
    @classmethod
    def open(cls, **changes: Any) -> Engine:
        return MyEngine(EngineSpec(**{**cls.SPEC, **changes}))
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from prunesearch.engines.base import Engine
from prunesearch.errors import TaskError
from prunesearch.policy import Policy
from prunesearch.results import Job, Outcome, Result, TaskInfo, Timings

JOBS = 12


def job(number: int, epochs: int = 1, **policy: Any) -> Job:
    """A trial of one epoch that works."""
    return Job(number, Policy.parse({"epochs": epochs, "threshold": 0.5, **policy}), epochs, seed=0)


def numbers(result: Result) -> Result:
    """The part of a result that has to be equal wherever it was computed: everything but clocks and places."""
    measures = result.measures and replace(result.measures, seconds=0.0)
    epochs = tuple(replace(row, seconds=0.0) for row in result.epochs)
    return replace(result, measures=measures, epochs=epochs, timings=Timings(), device="")


def drain(engine: Engine, count: int) -> list[Outcome]:
    """The next `count` outcomes."""
    found = [engine.next(timeout=120) for _ in range(count)]
    return [outcome for outcome in found if outcome is not None]


class EngineContract:
    """The tests. `open` is all that a subclass must say."""

    SPEC: dict[str, Any] = {"task": "digits-mlp", "device": "cpu", "workers": 1}

    @classmethod
    def open(cls, **changes: Any) -> Engine:
        """A fresh engine for `SPEC` with these changes."""
        raise NotImplementedError

    @classmethod
    def failing(cls, number: int) -> Job:
        """A job whose trial fails: it prunes a group that is not there."""
        return job(number, only=["nowhere"])

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        """One engine for all tests that leave it usable."""
        with cls.open() as engine:
            yield engine

    def test_describes_the_task(self, engine: Engine) -> None:
        info = engine.describe()
        assert isinstance(info, TaskInfo)
        assert (info.name, info.params, info.classes) == ("digits-mlp", 17_226, 10)
        assert engine.describe() == info

    def test_has_slots(self, engine: Engine) -> None:
        assert engine.slots == 1

    def test_nothing_submitted_is_a_lookup_error(self, engine: Engine) -> None:
        with pytest.raises(LookupError):
            engine.next(timeout=0)
        with pytest.raises(LookupError):
            engine.next()

    def test_submit_never_blocks_and_every_job_comes_back_once(self, engine: Engine) -> None:
        jobs = [job(n) for n in range(JOBS)]
        began = time.perf_counter()
        for one in jobs:
            engine.submit(one)
        submitted = time.perf_counter() - began
        outcomes = drain(engine, JOBS)
        assert submitted < time.perf_counter() - began - submitted  # a submission that waits leaves nothing to wait for
        assert [o.job for o in outcomes] == jobs  # one slot: the order of finishing is that of submission
        assert all(o.lost is None and o.result is not None for o in outcomes)
        with pytest.raises(LookupError):
            engine.next(timeout=0)

    def test_results_say_what_was_done(self, engine: Engine) -> None:
        engine.submit(job(7, epochs=3, granularity="neuron"))
        result = drain(engine, 1)[0].result
        assert result is not None and result.measures is not None
        assert result.state == "complete"
        assert [row.epoch for row in result.epochs] == [0, 1, 2]
        assert result.measures.params == result.measures.params_dense < 17_226
        assert {row.name: row.kept for row in result.layers} == {"fc1": 64, "fc2": 32, "fc3": 10}

    def test_the_dense_reference_is_a_job_without_policy(self, engine: Engine) -> None:
        engine.submit(Job(-1, None, epochs=2, seed=0))
        result = drain(engine, 1)[0].result
        assert result is not None and result.measures is not None
        assert (result.state, result.measures.params, result.measures.sparsity) == ("complete", 17_226, 0.0)

    def test_equal_jobs_give_equal_numbers(self, engine: Engine) -> None:
        for number in (1, 2):
            engine.submit(job(number, epochs=2))
        one, two = (o.result for o in drain(engine, 2))
        assert one is not None and two is not None
        assert numbers(one) == numbers(two)

    def test_a_timeout_ends_waiting(self, engine: Engine) -> None:
        for timeout in (0, 0.001):
            engine.submit(job(1, epochs=10))
            began = time.perf_counter()
            found = engine.next(timeout=timeout)
            waited = time.perf_counter() - began
            assert found is not None or waited < 0.5
            if found is None:
                assert drain(engine, 1)[0].job.number == 1

    def test_a_failing_trial_is_reported_and_the_next_one_runs(self, engine: Engine) -> None:
        engine.submit(self.failing(99))
        engine.submit(job(4))
        failed, well = drain(engine, 2)
        assert failed.lost is None and failed.result is not None
        assert failed.result.state == "failed"
        assert failed.result.measures is None and failed.result.reason
        assert well.result is not None and well.result.state == "complete"

    def test_close_abandons_what_is_in_flight_and_may_be_called_twice(self) -> None:
        engine = self.open()
        for n in range(3):
            engine.submit(job(n, epochs=200))
        began = time.perf_counter()
        engine.close()
        engine.close()
        assert time.perf_counter() - began < 5
        with pytest.raises(LookupError):
            engine.next()
        with pytest.raises(RuntimeError, match="closed"):
            engine.submit(job(9))

    def test_leaving_the_block_closes(self) -> None:
        with self.open() as engine:
            engine.submit(job(1))
        with pytest.raises(LookupError):
            engine.next(timeout=0)

    def test_a_task_that_does_not_load_says_so_itself(self) -> None:
        with self.open(task="digits-mpl") as engine:
            with pytest.raises(TaskError, match="digits-mpl"):
                engine.describe()
            engine.submit(job(1))
            with pytest.raises(TaskError, match="digits-mpl"):
                engine.next()

"""Latencies that trials share: equal shapes are measured once, and noise makes no new levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.policy import Policy
from prunesearch.results import LatencySpec, Result
from prunesearch.search.planner import Latencies, Planner, dense_job
from tests.search.parts import dense, measures, result

PLANNER = Planner(7, LatencySpec(), dense(), Path("kept"))


def measured(ratio: float, shape: str, iqr: float = 0.0) -> Result:
    return replace(result(), signature=shape, measures=replace(measures(), latency_ratio=ratio, latency_ratio_iqr=iqr))


def settled(results: list[Result]) -> list[float]:
    latencies, told = Latencies.of(dense()), []
    for one in results:
        after, latencies = PLANNER.settle(one, latencies)
        assert after.measures is not None and after.measures.latency_ms is not None
        told.append(after.measures.latency_ms)
    return told


def test_equal_shapes_have_one_latency() -> None:
    assert settled([measured(0.50, "a"), measured(0.56, "a"), measured(0.70, "b")]) == [1.0, 1.0, 1.4]


def test_ratios_that_noise_cannot_tell_apart_are_one() -> None:
    assert settled([measured(0.50, "a"), measured(0.505, "b"), measured(0.55, "c", iqr=0.1)]) == [1.0, 1.0, 1.0]
    assert settled([measured(0.99, "a")]) == [2.0]  # the dense network's own
    assert settled([measured(1.0, "dense")]) == [2.0]


def test_the_ratio_stays_as_measured() -> None:
    after, _ = PLANNER.settle(measured(0.505, "b"), Latencies({}, ((0.5, 0.0),)))
    assert after.measures is not None
    assert (after.measures.latency_ratio, after.measures.latency_ms) == (0.505, 1.0)


@given(st.lists(st.tuples(st.floats(0.05, 1.5), st.sampled_from("abcdef"), st.floats(0.0, 0.05)), max_size=20))
def test_learning_again_from_what_was_measured_tells_the_same(found: list[tuple[float, str, float]]) -> None:
    results = [measured(ratio, shape, iqr) for ratio, shape, iqr in found]
    assert settled(results) == settled(results)
    assert len(set(settled(results))) <= len({shape for _, shape, _ in found})


@pytest.mark.parametrize("ratio", [None, float("nan"), float("inf")])
def test_what_was_not_measured_teaches_nothing(ratio: float | None) -> None:
    before = Latencies.of(dense())
    one = replace(result(), measures=replace(measures(), latency_ratio=ratio))
    assert PLANNER.settle(one, before)[1] == before
    assert PLANNER.settle(Result("failed", None), before)[1] == before


def test_jobs_carry_what_is_known() -> None:
    policy = Policy.parse({"epochs": 4})
    latencies = Latencies.of(dense()).learn("a", measured(0.5, "a").measures)
    job = PLANNER.job(12, policy, latencies)
    assert job.known_latency == {"dense": (1.0, 0.0), "a": (0.5, 0.0)}
    assert (job.number, job.seed, job.epochs, job.dense) == (12, 7, 4, dense())
    assert job.keep_to == str(Path("kept") / "trial-00012")
    assert Planner(7, LatencySpec(), dense()).job(12, policy, latencies).keep_to is None
    assert dense_job(4, 7, LatencySpec()).policy is None

"""How many workers share a device: the choice from figures, and a real measurement on the CPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.engines import EngineSpec
from prunesearch.engines.calibration import GAIN, best_count, calibrate
from prunesearch.engines.fleet import Fleet, FleetClosed


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ({}, 1),
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 180.0, 4: 300.0}, 4),
        ({1: 100.0, 2: 180.0, 4: 190.0}, 2),
        ({1: 100.0, 2: 105.0}, 1),
        ({1: 100.0, 2: 90.0, 4: 150.0}, 4),
        ({4: 150.0, 1: 100.0}, 4),
        ({1: 0.0, 2: 0.0}, 1),
        ({1: 100.0, 2: 109.0, 4: 115.0}, 2),
    ],
)
def test_the_fewest_workers_that_are_as_good(measured: dict[int, float], best: int) -> None:
    assert best_count(measured) == best


@given(st.dictionaries(st.sampled_from([1, 2, 4, 8]), st.floats(0, 1e6), min_size=1))
def test_what_is_chosen_is_nearly_the_best_and_nothing_smaller_is(measured: dict[int, float]) -> None:
    best = best_count(measured)
    assert all(measured[best] * GAIN >= measured[n] for n in measured if n > best)
    for smaller in (n for n in measured if n < best):
        assert any(measured[smaller] * GAIN < measured[n] for n in measured if n > smaller)


def test_a_real_measurement_with_one_and_two_processes() -> None:
    fleet = Fleet(EngineSpec("moons-mlp", device="cpu"))
    measured = calibrate(fleet, "cpu", (1, 2), seconds=0.2)
    assert set(measured) == {1, 2} and min(measured.values()) > 0
    assert best_count(measured) in (1, 2)
    assert fleet.closed


def test_a_task_that_does_not_load_is_not_measured_and_told_later() -> None:
    assert calibrate(Fleet(EngineSpec("nowhere.py:make_task", device="cpu")), "cpu", (1,), seconds=0.1) == {}


def test_an_engine_that_is_closed_meanwhile_ends_the_measurement() -> None:
    fleet = Fleet(EngineSpec("moons-mlp", device="cpu"))
    fleet.close()
    with pytest.raises(FleetClosed):
        calibrate(fleet, "cpu", (1,), seconds=0.1)

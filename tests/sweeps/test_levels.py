"""Levels as they are typed, and what they do to a policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import UsageError
from prunesearch.policy import Policy
from prunesearch.sweeps.levels import LEVELS, at_level, bound_at, read_levels


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("0,.25,.5", (0.0, 0.25, 0.5)),
        (" .9 , 0.5,.9,", (0.5, 0.9)),
        ("-0.0,0", (0.0,)),
        ("1e-1", (0.1,)),
        (LEVELS, (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)),
    ],
)
def test_levels_are_read_in_order_and_once_each(text: str, levels: tuple[float, ...]) -> None:
    assert read_levels(text) == levels


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("50", "50 is not at least 0 and below 1", "not percent: --levels 0.5"),
        ("0,25,99", "25, 99 is not", "not percent: --levels 0,0.25,0.99"),
        ("0.5,1", "1 is not", "1 would remove everything"),
        ("-0.5", "-0.5 is not", "fractions, such as"),
        ("nan", "nan is not", "fractions, such as"),
        ("0.5,inf", "inf is not", "fractions, such as"),
        ("50%", "'50%' is not a number", "50 % is 0.5"),
        ("half", "'half' is not a number", "fractions"),
        ("", "at least one", "fractions"),
        (" , ", "at least one", "fractions"),
    ],
)
def test_what_is_no_level_is_refused_with_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match="levels: ") as caught:
        read_levels(text)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1))
def test_numbers_are_levels_as_they_are(numbers: list[float]) -> None:
    found = read_levels(numbers)
    assert set(found) == set(numbers)
    assert list(found) == sorted(set(numbers))
    assert read_levels(",".join(map(repr, numbers))) == found


def policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 8, "epoch_threshold": 2, **fields})


def test_a_level_takes_the_place_of_the_amount_and_of_nothing_else() -> None:
    plain = policy(function="gradual", threshold=0.3, converge_over=3, spare=["fc1"])
    assert at_level(plain, 0.8) == plain.model_copy(update={"threshold": 0.8})
    ratios = policy(scope="ratios", ratio={"fc1": 0.2, "fc2": 0.0, "default": 0.7})
    assert at_level(ratios, 0.4).ratio == {"fc1": 0.4, "fc2": 0.0, "default": 0.4}


def test_rewinding_goes_up_to_the_level() -> None:
    rewinding = policy(schedule_type="rewind_pruning", threshold=0.5)
    assert (at_level(rewinding, 0.9).threshold, at_level(rewinding, 0.9).threshold_max) == (0.5, 0.9)
    assert (at_level(rewinding, 0.2).threshold, at_level(rewinding, 0.2).threshold_max) == (0.2, 0.2)


@pytest.mark.parametrize(("granularity", "low", "high"), [("weight", 1e-3, 0.3), ("neuron", 0.2, 1.5)])
def test_bounds_go_through_the_range_that_is_searched(granularity: str, low: float, high: float) -> None:
    units = granularity != "weight"
    assert (bound_at(0.0, units=units), bound_at(1.0, units=units)) == pytest.approx((low, high))
    assert bound_at(0.5, units=units) == pytest.approx((low * high) ** 0.5)
    bounded = policy(schedule_type="magnitude_threshold", granularity=granularity)
    assert at_level(bounded, 0.5).weight_threshold == pytest.approx((low * high) ** 0.5)

"""Ratios that cannot be told apart are one ratio, and what was told once stays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.measure.ratios import DENSE, FLOOR, Ratio, equal, merge_ratio

VALUES = st.floats(0.01, 4.0)
NOISE = st.floats(0.0, 0.2)
RATIOS = st.tuples(VALUES, NOISE)


def told_for(history: list[Ratio], known: tuple[Ratio, ...] = (DENSE,)) -> list[float]:
    """What a search tells for ratios in the order in which they were measured."""
    levels, told = list(known), []
    for measured in history:
        found = merge_ratio(*measured, levels)
        levels += [] if found in levels else [found]
        told.append(found[0])
    return told


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((0.50, 0.000), (0.50, 0.00), True),
        ((0.50, 0.000), (0.509, 0.00), True),  # less than 2 % of 0.509
        ((0.50, 0.000), (0.511, 0.00), False),
        ((0.50, 0.011), (0.51, 0.00), True),  # the larger IQR counts, whose ever it is
        ((0.50, 0.000), (0.53, 0.04), True),
        ((0.50, 0.010), (0.53, 0.02), False),
        ((0.05, 0.000), (0.06, 0.00), False),  # 2 % is relative
    ],
)
def test_equality_by_the_larger_noise_and_two_percent(one: Ratio, other: Ratio, same: bool) -> None:
    assert equal(one, other) is same
    assert equal(other, one) is same


@given(RATIOS, st.lists(RATIOS, max_size=8))
def test_a_representative_is_known_or_the_measurement_itself(measured: Ratio, known: list[Ratio]) -> None:
    found = merge_ratio(*measured, known)
    assert found in known or found == measured
    assert equal(found, measured)


@given(RATIOS, st.lists(RATIOS, min_size=1, max_size=8))
def test_the_nearest_of_those_that_equal_it_stands_for_it(measured: Ratio, known: list[Ratio]) -> None:
    found = merge_ratio(*measured, known)
    alike = [k for k in known if equal(k, measured)]
    if alike:
        assert abs(found[0] - measured[0]) == min(abs(k[0] - measured[0]) for k in alike)
    else:
        assert found == measured


@given(st.lists(RATIOS, max_size=12))
def test_what_was_told_never_changes(history: list[Ratio]) -> None:
    told = told_for(history)
    for count in range(len(history)):
        assert told_for(history[:count]) == told[:count]


@given(st.lists(RATIOS, max_size=12))
def test_told_ratios_lie_within_the_noise_and_are_told_as_themselves(history: list[Ratio]) -> None:
    told = told_for(history)
    known = [DENSE, *history]
    for (ratio, iqr), value in zip(history, told, strict=True):
        assert value in [k[0] for k in known]
        assert any(equal((ratio, iqr), k) for k in known if k[0] == value)
    assert told_for([(value, 0.0) for value in told], tuple((v, 0.0) for v in dict.fromkeys([1.0, *told]))) == told


@given(st.lists(VALUES, min_size=2, max_size=12))
def test_quiet_representatives_differ_by_more_than_two_percent(values: list[float]) -> None:
    distinct = sorted({*told_for([(v, 0.0) for v in values])})
    for low, high in pairwise(distinct):
        assert high - low >= FLOOR * high * (1 - 1e-12)


def test_what_is_as_fast_as_dense_is_told_as_dense() -> None:
    assert told_for([(0.99, 0.001), (1.015, 0.001), (0.90, 0.15), (0.6, 0.01)]) == [1.0, 1.0, 1.0, 0.6]

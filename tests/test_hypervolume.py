"""Hypervolume against inclusion-exclusion, and the knee against its definition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.front import Direction, Front, FrontRow, reference_point
from prunesearch.policy import Policy
from prunesearch.results import Measures

POLICY = Policy(epochs=5)
TWO: dict[str, Direction] = {"accuracy": "maximize", "params": "minimize"}
THREE: dict[str, Direction] = {**TWO, "latency_ms": "minimize"}


def measures(accuracy: float, params: int, latency_ms: float | None = 1.0) -> Measures:
    return Measures(accuracy, params, params, 10 * params, 4 * params, 0.5, 1.0, None, latency_ms)


DENSE = measures(0.8, 100, 2.0)


def row(trial: int, accuracy: float, params: int, latency_ms: float | None = 1.0) -> FrontRow:
    return FrontRow(trial, measures(accuracy, params, latency_ms), POLICY)


def rows(*figures: Sequence[float]) -> list[FrontRow]:
    return [row(i, f[0], int(f[1]), *f[2:]) for i, f in enumerate(figures)]


def front(*figures: Sequence[float], dense: Measures | None = DENSE) -> Front:
    return Front.of(rows(*figures), TWO if len(figures[0]) == 2 else THREE, dense=dense, study="s", device="cpu")


few = st.integers(0, 4)
points = st.lists(st.tuples(few.map(lambda v: v / 4), few, few.map(float)), max_size=14)


def shares(found: Front) -> list[tuple[float, ...]]:
    """Each row's box as shares of the dense box's sides, by the documented rule for positive measures."""
    assert found.dense is not None
    out = []
    for r in found:
        sides = [r.value("accuracy") / found.dense.accuracy]
        for name in list(found.directions)[1:]:
            top = 1.1 * getattr(found.dense, name)
            sides.append((top - r.value(name)) / top)
        out.append(tuple(max(0.0, side) for side in sides))
    return out


def inclusion_exclusion(boxes: list[tuple[float, ...]]) -> float:
    """Volume of a union of boxes that share the corner 0."""
    total = 0.0
    for k in range(1, len(boxes) + 1):
        for some in itertools.combinations(boxes, k):
            total += (-1) ** (k + 1) * math.prod(min(sides) for sides in zip(*some, strict=True))
    return total


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 150), st.floats(0, 3)), min_size=1, max_size=7),
    st.booleans(),
)
def test_hypervolume_is_the_union_of_the_boxes(figures: list[tuple[float, int, float]], flat: bool) -> None:
    found = front(*(f[:2] if flat else f for f in figures))
    assert found.hypervolume() == pytest.approx(inclusion_exclusion(shares(found)), abs=1e-9)


@pytest.mark.parametrize(
    ("figures", "volume"),
    [
        ([(0.8, 0)], 1.0),  # the dense accuracy for free
        ([(0.8, 100)], 0.1 / 1.1),  # the dense network itself
        ([(0.8, 110)], 0.0),  # on the reference
        ([(0.8, 200)], 0.0),  # beyond it
        ([(0.0, 1)], 0.0),
        ([(0.4, 55)], 0.25),
        ([(0.4, 55), (0.8, 88)], 0.5 * 0.5 + 0.5 * 0.2),
        ([(1.6, 0)], 2.0),  # twice the dense accuracy
    ],
)
def test_hypervolume_by_hand(figures: list[tuple[float, int]], volume: float) -> None:
    assert front(*figures).hypervolume() == pytest.approx(volume)


@given(points, st.tuples(st.floats(0.01, 1), st.integers(0, 99), st.floats(0, 2)))
def test_hypervolume_never_shrinks(figures: list[tuple[float, int, float]], more: tuple[float, int, float]) -> None:
    before = Front.of(rows(*figures), THREE, dense=DENSE)
    after = Front.of([*before, row(99, *more)], THREE, dense=DENSE)
    assert after.hypervolume() >= before.hypervolume() - 1e-12
    assert (after.hypervolume() > before.hypervolume()) <= (99 in after.trials)


@given(points, st.floats(0.1, 10))
def test_hypervolume_does_not_depend_on_units(figures: list[tuple[float, int, float]], unit: float) -> None:
    def scaled(m: Measures) -> Measures:
        assert m.latency_ms is not None
        return replace(m, latency_ms=m.latency_ms * unit)

    found = Front.of(rows(*figures), THREE, dense=DENSE)
    other = Front.of([replace(r, measures=scaled(r.measures)) for r in found], THREE, dense=scaled(DENSE))
    assert other.hypervolume() == pytest.approx(found.hypervolume(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "way", "dense", "expected"),
    [
        ("accuracy", "maximize", 0.8, 0.0),
        ("accuracy", "maximize", -2.0, -2.2),
        ("accuracy", "minimize", 2.0, 2.2),
        ("accuracy", "minimize", -2.0, -1.8),
        ("accuracy", "minimize", 0.0, 0.0),
    ],
)
def test_the_reference_point(name: str, way: Direction, dense: float, expected: float) -> None:
    found = reference_point({name: way, "params": "minimize"}, measures(dense, 100))
    assert found == {name: pytest.approx(expected), "params": pytest.approx(110)}


def test_sparsity_is_measured_from_none_at_all() -> None:
    half = Front.of(rows((0.8, 100)), {"sparsity": "maximize"}, dense=replace(DENSE, sparsity=0.0))
    assert half.hypervolume() == pytest.approx(0.5)


def test_a_reference_of_ones_own_gives_a_volume_in_units() -> None:
    found = front((0.5, 20), (0.25, 10), dense=None)
    assert found.hypervolume({"accuracy": 0.0, "params": 40}) == pytest.approx(0.5 * 20 + 0.25 * 10)
    with pytest.raises(ValueError, match="no dense network"):
        found.hypervolume()


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="trial 0: a hypervolume needs finite objectives"):
        front((math.inf, 10)).hypervolume()


@pytest.mark.parametrize(
    ("figures", "knee"),
    [
        (((1.0, 100), (0.9, 20), (0.0, 0)), 1),
        (((1.0, 100), (0.4, 50), (0.0, 0)), 0),  # nothing beyond the line between the ends: the first end
        (((1.0, 100), (0.95, 40), (0.9, 10), (0.0, 0)), 2),
        (((0.7, 5),), 0),
        (((0.7, 5), (0.7, 5)), 0),
        (((1.0, 100, 1.0), (0.9, 20, 9.0), (0.8, 30, 1.5), (0.0, 0, 1.0)), 2),
    ],
)
def test_the_knee(figures: tuple[tuple[float, ...], ...], knee: int) -> None:
    assert front(*figures).knee().trial == knee


@given(points.filter(bool), st.integers(1, 1000))
def test_the_knee_does_not_depend_on_units(figures: list[tuple[float, int, float]], unit: int) -> None:
    found = Front.of(rows(*figures), THREE)
    scaled = [replace(r, measures=replace(r.measures, params=r.measures.params * unit)) for r in found]
    assert Front.of(scaled, THREE).knee().trial == found.knee().trial


def farthest(found: Front) -> float:
    """The largest distance of a row beyond the line through the two ends of a front of two objectives."""
    a, b = found[0], found[-1]
    width, height = a.value("params") - b.value("params"), a.value("accuracy") - b.value("accuracy")
    places = [
        ((r.value("params") - b.value("params")) / width, (r.value("accuracy") - b.value("accuracy")) / height) for r in found
    ]
    return max((y - x) / math.sqrt(2) for x, y in places)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), min_size=3, max_size=10))
def test_the_knee_is_farthest_from_the_line_between_the_ends(figures: list[tuple[float, int]]) -> None:
    found = Front.of(rows(*figures), TWO)
    if len({r.measures.params for r in found}) < 2:
        return
    only = replace(found, rows=(found[0], found.knee(), found[-1]))
    assert farthest(only) == pytest.approx(farthest(found), abs=1e-9)

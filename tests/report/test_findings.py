from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import InfeasibleError
from prunesearch.front import Direction, Front, FrontRow
from prunesearch.policy import Policy
from prunesearch.report.findings import Comparison, compare, finding, points_words, smallest_within, told, versus
from prunesearch.results import Measures
from prunesearch.sensitivity import POINT

DIRECTIONS: dict[str, Direction] = {"accuracy": "maximize", "params": "minimize"}
LESS: dict[str, Direction] = {"accuracy": "minimize", "params": "minimize"}


def measures(accuracy: float, params: int, latency_ms: float | None = None) -> Measures:
    return Measures(accuracy, params, params, 5000 - params, 4 * params, 0.0, 1.0, latency_ms=latency_ms)


def row(trial: int, accuracy: float, params: int, latency_ms: float | None = None) -> FrontRow:
    return FrontRow(trial, measures(accuracy, params, latency_ms), Policy(epochs=4, threshold=0.5))


DENSE = measures(0.97, 1000, 0.2)


def front(*rows: FrontRow, dense: Measures | None = DENSE, directions: dict[str, Direction] = DIRECTIONS) -> Front:
    return Front.of(rows, directions, dense=dense, study="s")


def test_a_comparison_counts_gains_as_more_than_one() -> None:
    found = compare(measures(0.96, 250, 0.1), DENSE)
    assert (found.points, found.faster, found.fewer, found.lighter) == pytest.approx((-1.0, 2.0, 4.0, 4000 / 4750))


def test_a_metric_that_is_minimised_is_better_when_lower() -> None:
    assert compare(measures(0.5, 10), measures(0.8, 10), maximize=False).points == pytest.approx(37.5)
    assert compare(measures(0.5, 10), measures(0.8, 10)).points == pytest.approx(-30.0)


def test_without_a_latency_nothing_is_said_about_speed() -> None:
    found = compare(measures(0.97, 500), DENSE)
    assert found.faster is None
    assert versus(found) == "2.00x fewer parameters, as accurate as dense"


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (Comparison(-0.6, 9.8, 1.9, 1.0), "9.80x fewer parameters, 1.90x faster, 0.6 points lower"),
        (Comparison(1.0, 2.0, 0.5, 1.0), "2.00x fewer parameters, 2.00x slower, 1 point higher"),
        (Comparison(0.04, 2.0, 1.01, 1.0), "2.00x fewer parameters, as accurate as dense"),
    ],
)
def test_versus(comparison: Comparison, words: str) -> None:
    assert versus(comparison) == words


@pytest.mark.parametrize(
    ("points", "words"),
    [(0.0, "as accurate as dense"), (-1.04, "1 point lower"), (-12.0, "12 points lower"), (0.55, "0.6 points higher")],
)
def test_points(points: float, words: str) -> None:
    assert points_words(points) == words


@pytest.mark.parametrize(
    ("value", "dense", "words"),
    [
        (0.7, 0.5, "2.00x fewer parameters, 40 % worse"),
        (0.497, 0.5, "2.00x fewer parameters, 0.6 % better"),
        (0.5, 0.5, "2.00x fewer parameters, as good as dense"),
        (0.0090, 0.0012, "2.00x fewer parameters, 650 % worse"),
        (-2.5, -2.0, "2.00x fewer parameters, 25 % better"),
        (0.1, 0.0, "2.00x fewer parameters, worse than dense"),
        (0.0, 0.0, "2.00x fewer parameters, as good as dense"),
    ],
)
def test_of_a_metric_that_is_minimised_it_is_said_whether_it_is_better(value: float, dense: float, words: str) -> None:
    assert versus(compare(measures(value, 500), measures(dense, 1000), maximize=False)) == words


def test_the_sentence_about_a_small_error() -> None:
    """Both are within 0.01 of dense; one is within a hundredth of it."""
    rows = (row(0, 0.001205, 500), row(1, 0.0090, 100))
    found = finding(front(*rows, dense=measures(0.0012, 1000), directions=LESS))
    assert found.startswith("2.00x fewer parameters, 0.4 % worse: trial 0,")


def test_an_error_that_is_no_objective_is_better_when_lower() -> None:
    rows, dense = (row(0, 0.08, 100), row(1, 0.05, 100)), measures(0.05, 200)
    found = Front.of(rows, {"params": "minimize"}, dense=dense, metric="minimize")
    chosen = smallest_within(found)
    assert (found.best("accuracy").trial, chosen and chosen.trial) == (1, 1)
    assert finding(found).startswith("2.00x fewer parameters, as good as dense: trial 1,")
    assert finding(found.chosen(rows[:1])).startswith("2.00x fewer parameters, 60 % worse: trial 0,")


def test_the_smallest_within_a_point() -> None:
    found = front(row(0, 0.975, 900), row(1, 0.961, 300), row(2, 0.959, 200), row(3, 0.9, 100))
    chosen = smallest_within(found)
    assert chosen is not None
    assert chosen.trial == 1


def test_the_sentence_is_about_the_smallest_within_a_point_else_the_knee() -> None:
    close = front(row(0, 0.965, 300), row(3, 0.9, 100))
    assert (
        finding(close) == "3.33x fewer parameters, 0.5 points lower: trial 0, 50 % of weights, per layer l1, one shot at epoch 0"
    )
    far = front(row(0, 0.5, 300), row(3, 0.4, 100), row(4, 0.3, 90))
    assert smallest_within(far) is None
    assert told(far).trial == far.knee().trial


def test_the_sentence_without_a_dense_network() -> None:
    assert finding(front(row(0, 0.5, 300), dense=None)).startswith("trial 0: 0.5000 with 300 parameters:")


def test_an_empty_front_has_no_sentence() -> None:
    with pytest.raises(InfeasibleError):
        finding(front())


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 1000)), min_size=1, max_size=12))
def test_smallest_within_agrees_with_a_plain_search(points: list[tuple[int, int]]) -> None:
    rows = [row(i, a / 100, p) for i, (a, p) in enumerate(points)]
    expected = [r.measures.params for r in rows if r.measures.accuracy >= DENSE.accuracy - POINT]
    found = smallest_within(front(*rows))
    assert (found.measures.params if found else None) == min(expected, default=None)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 1000)), min_size=1, max_size=12))
def test_smallest_within_turns_round_for_a_loss(points: list[tuple[int, int]]) -> None:
    rows = [row(i, a / 1000, p) for i, (a, p) in enumerate(points)]
    found = smallest_within(front(*rows, dense=measures(0.05, 1000), directions=LESS))
    expected = [r.measures.params for r in rows if r.measures.accuracy <= 0.05 * (1 + POINT)]
    assert (found.measures.params if found else None) == min(expected, default=None)

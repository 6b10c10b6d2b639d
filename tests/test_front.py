"""Dominance against outside oracles (brute force, Optuna), and choosing from a front."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import InfeasibleError, UsageError
from prunesearch.front import Direction, Front, FrontRow, direction_of, directions_of, non_dominated
from prunesearch.policy import Policy
from prunesearch.results import MEASURES, OBJECTIVES, Measures

POLICY = Policy(epochs=5)
TWO: dict[str, Direction] = {"accuracy": "maximize", "params": "minimize"}
THREE: dict[str, Direction] = {**TWO, "latency_ms": "minimize"}


def measures(accuracy: float, params: int, latency_ms: float | None = 1.0) -> Measures:
    return Measures(accuracy, params, params, 10 * params, 4 * params, 0.5, 1.0, None, latency_ms)


DENSE = measures(0.8, 100, 2.0)


def row(trial: int, accuracy: float, params: int, latency_ms: float | None = 1.0) -> FrontRow:
    return FrontRow(trial, measures(accuracy, params, latency_ms), POLICY, POLICY.digest)


def rows(*figures: Sequence[float]) -> list[FrontRow]:
    return [row(i, f[0], int(f[1]), *f[2:]) for i, f in enumerate(figures)]


def front(*figures: Sequence[float], dense: Measures | None = DENSE) -> Front:
    return Front.of(rows(*figures), TWO if len(figures[0]) == 2 else THREE, dense=dense, study="s", device="cpu")


def drawn(grid: str) -> tuple[list[FrontRow], set[int]]:
    """Rows from a drawing: accuracy grows upwards, params to the right; capital letters are on the front."""
    lines = grid.strip("\n").splitlines()
    points = [(len(lines) - y, x, c) for y, line in enumerate(lines) for x, c in enumerate(line) if c.isalpha()]
    found = [row(ord(c.lower()), float(y), x) for y, x, c in points]
    return found, {ord(c.lower()) for _, _, c in points if c.isupper()}


@pytest.mark.parametrize(
    "grid",
    [
        """
......C
..B..d.
..e....
A...f..
""",
        """
A..b..c
d......
e......
""",
        """
......A
......b
..D...c
""",
        "....A.b",
        """
A
b
""",
        """
.....D
....C.
...B..
..A...
""",
        """
A.....
.b....
..c...
...d..
""",
    ],
)
def test_dominance_as_drawn(grid: str) -> None:
    points, expected = drawn(grid)
    assert {r.trial for r in non_dominated(points, TWO)} == expected


@pytest.mark.parametrize(
    ("a", "b", "kept"),
    [
        ((0.9, 10), (0.9, 10), [0, 1]),  # equal: both stay
        ((0.9, 10), (0.9, 11), [0]),
        ((0.9, 10), (0.8, 10), [0]),
        ((0.9, 10), (0.8, 9), [0, 1]),
        ((0.8, 9), (0.9, 9), [1]),
        ((math.inf, 10), (0.9, 10), [0]),
        ((-math.inf, 10), (0.9, 11), [0, 1]),
        ((0.0, 10), (-0.0, 10), [0, 1]),
    ],
)
def test_dominance_of_two(a: Sequence[float], b: Sequence[float], kept: list[int]) -> None:
    assert [r.trial for r in non_dominated(rows(a, b), TWO)] == kept


def test_nothing_gives_nothing() -> None:
    assert non_dominated([], TWO) == ()
    assert len(Front.of([], TWO)) == 0


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="trial 1 has no accuracy"):
        non_dominated(rows((0.9, 10), (math.nan, 1)), TWO)
    with pytest.raises(ValueError, match="trial 0 has no latency_ms"):
        non_dominated([row(0, 0.9, 10, None)], THREE)


few = st.integers(0, 4)
points = st.lists(st.tuples(few.map(lambda v: v / 4), few, few.map(float)), max_size=14)
ways = st.tuples(*[st.sampled_from(("maximize", "minimize"))] * 3).map(lambda w: dict(zip(THREE, w, strict=True)))


def dominates(a: FrontRow, b: FrontRow, directions: dict[str, Direction]) -> bool:
    """The definition, word for word."""
    at_least = better = 0
    for name, way in directions.items():
        x, y = (a.value(name), b.value(name)) if way == "maximize" else (-a.value(name), -b.value(name))
        at_least += x >= y
        better += x > y
    return at_least == len(directions) and better > 0


@given(points, ways)
def test_the_front_is_what_brute_force_finds(figures: list[tuple[float, int, float]], directions: dict[str, Direction]) -> None:
    given_rows = rows(*figures)
    expected = [b for b in given_rows if not any(dominates(a, b, directions) for a in given_rows)]
    assert list(non_dominated(given_rows, directions)) == expected


@given(points, ways, st.lists(st.booleans(), min_size=14, max_size=14))
def test_the_front_is_what_optuna_calls_best(
    figures: list[tuple[float, int, float]], directions: dict[str, Direction], feasible: list[bool]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=list(directions.values()))
    for figure, fits in zip(figures, feasible, strict=False):
        study.add_trial(optuna.create_trial(values=figure, constraints={"c": -1.0 if fits else 1.0}))
    given_rows = [replace(r, feasible=fits) for r, fits in zip(rows(*figures), feasible, strict=False)]
    assert list(Front.of(given_rows, directions).trials) == sorted(t.number for t in study.best_trials)


@given(points)
def test_the_front_of_a_front_is_itself(figures: list[tuple[float, int, float]]) -> None:
    once = Front.of(rows(*figures), THREE)
    assert Front.of(once, THREE) == once
    assert Front.of(reversed(rows(*figures)), THREE) == once


def test_infeasible_rows_take_no_part() -> None:
    best = replace(row(7, 1.0, 1), feasible=False)
    assert Front.of([best, row(8, 0.5, 50)], TWO).trials == (8,)


def test_the_order_is_best_first() -> None:
    assert [r.trial for r in front((0.5, 1), (0.9, 30), (0.9, 30), (0.7, 20))] == [1, 2, 3, 0]


def test_directions() -> None:
    assert directions_of(OBJECTIVES) == {
        "accuracy": "maximize",
        "params": "minimize",
        "params_dense": "minimize",
        "macs": "minimize",
        "bytes": "minimize",
        "latency_ms": "minimize",
        "sparsity": "maximize",
    }
    assert directions_of(["accuracy", "params"], "minimize") == {"accuracy": "minimize", "params": "minimize"}
    assert direction_of("test_accuracy", "minimize") == "minimize"


# --- choosing

MANY = ((0.95, 90), (0.93, 40), (0.90, 20), (0.70, 10), (0.30, 5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy >= 0.9", [0, 1, 2]),
        ("accuracy >= dense", [0, 1, 2]),
        ("accuracy >= dense - 0.1", [0, 1, 2, 3]),
        ("params <= dense * 0.2 and accuracy >= 0.5", [2, 3]),
        ("params <= 20, accuracy >= 0.5", [2, 3]),
        ("params <= 1", []),
    ],
)
def test_where(text: str, expected: list[int]) -> None:
    found = front(*MANY).where(text)
    assert [r.trial for r in found] == expected
    assert (found.dense, found.study, found.recorded) == (DENSE, "s", None)


def test_where_with_by_gives_the_best_one() -> None:
    assert front(*MANY).where("accuracy >= 0.9", by="params").trial == 2
    assert front(*MANY).where("params <= 40", by="accuracy").trial == 1


@pytest.mark.parametrize(
    ("text", "by", "what"),
    [
        ("accuracy => 0.9", None, "not a constraint"),
        ("acuracy >= 0.9", None, "did you mean 'accuracy'"),
        ("", None, "empty condition"),
        ("accuracy >= 0.5", "parms", "did you mean 'params'"),
        ("accuracy >= 0.5", "test_accuracy", "not a measure to choose by"),
    ],
)
def test_a_wrong_choice_is_told(text: str, by: str | None, what: str) -> None:
    with pytest.raises(UsageError) as told:
        front(*MANY).where(text) if by is None else front(*MANY).where(text, by=by)
    assert what in f"{told.value} {told.value.hint}"


def test_what_is_relative_needs_the_dense_network() -> None:
    with pytest.raises(UsageError, match="needs the dense network"):
        front(*MANY, dense=None).where("accuracy >= dense - 0.1")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("accuracy >= 0.99", "the highest accuracy on the front is 0.95 (trial 0)"),
        ("params <= 2 and accuracy >= 0.5", "the lowest params on the front is 5 (trial 4)"),
        ("params <= 5 and accuracy >= 0.9", "not all at once"),
    ],
)
def test_nothing_that_fits_is_told_with_what_there_is(text: str, hint: str) -> None:
    with pytest.raises(InfeasibleError) as told:
        front(*MANY).where(text, by="params")
    assert hint in (told.value.hint or "") and told.value.exit_code == 5


def test_the_best_by_a_measure_that_is_no_objective() -> None:
    assert front(*MANY).best("bytes").trial == 4
    assert front(*MANY).best("accuracy").trial == 0
    assert Front.of(rows(*MANY), {"accuracy": "minimize", "params": "minimize"}).best("accuracy").trial == 4


def test_the_metric_s_own_direction_counts_where_it_is_no_objective() -> None:
    found = Front.of(rows((0.3, 10), (0.2, 10)), {"params": "minimize"}, metric="minimize")
    assert (found.metric, found.best("accuracy").trial) == ("minimize", 1)
    assert found.where("params <= 10").metric == "minimize"
    assert Front.of(rows((0.3, 10)), {"params": "minimize"}).metric == "maximize"


def test_what_is_chosen_remembers_the_whole() -> None:
    whole = front(*MANY)
    some = whole.where("accuracy >= 0.9")
    assert whole.whole is None and some.whole is whole
    assert some.where("params <= 40").whole is whole and some.chosen([]).whole is whole


def test_ties_go_by_the_objectives_then_by_number() -> None:
    assert front((0.9, 10, 1.0), (0.95, 20, 1.0), (0.95, 20, 1.0)).best("latency_ms").trial == 1


def test_an_empty_front_is_told() -> None:
    empty = Front.of([], TWO, study="s")
    with pytest.raises(InfeasibleError, match="no feasible policy yet"):
        empty.knee()
    with pytest.raises(InfeasibleError, match="no feasible policy yet"):
        empty.best("params")
    with pytest.raises(InfeasibleError, match="no feasible policy yet"):
        empty.where("params <= 5", by="params")


def test_a_measure_that_nobody_took_is_told() -> None:
    found = Front.of([row(0, 0.9, 10, None)], TWO, study="s")
    with pytest.raises(UsageError, match="latency_ms was not measured"):
        found.best("latency_ms")


# --- plain data


def test_to_dict_is_what_front_prints() -> None:
    found = front(*MANY)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(plain) == ["schema_version", "study", "directions", "device", "dense", "hypervolume", "front", "numerics"]
    assert (plain["schema_version"], plain["study"], plain["device"]) == (1, "s", "cpu")
    assert plain["directions"] == TWO and plain["dense"]["params"] == 100
    assert plain["hypervolume"] == pytest.approx(found.hypervolume())
    first = plain["front"][0]
    assert next(iter(first)) == "trial" and set(first) == {
        "trial",
        *MEASURES,
        "feasible",
        "confirmed",
        "seed",
        "digest",
        "policy",
    }
    assert (first["trial"], first["accuracy"], first["feasible"], first["confirmed"]) == (0, 0.95, True, None)
    assert Policy.parse(first["policy"]) == POLICY


def test_a_recorded_hypervolume_is_not_computed_again() -> None:
    assert replace(front(*MANY), recorded=0.123).to_dict()["hypervolume"] == 0.123
    assert front(*MANY, dense=None).to_dict()["hypervolume"] is None


def test_a_front_is_a_sequence() -> None:
    found = front(*MANY)
    assert (
        len(found) == 5
        and found[0].trial == 0
        and [r.trial for r in found] == [0, 1, 2, 3, 4]
        and found.trials == (0, 1, 2, 3, 4)
    )


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, prunesearch.front; print([m for m in ('torch', 'optuna', 'sqlalchemy', 'numpy') if m in sys.modules])"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

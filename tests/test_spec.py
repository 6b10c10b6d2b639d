from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunesearch.errors import StudyError
from prunesearch.spec import Constraint, Range, StudySpec, parse_where

FULL: dict[str, Any] = {
    "name": "fashion-small",
    "task": "fashion-lenet300",
    "epochs": 10,
    "objectives": ["accuracy", "params"],
    "constraints": {"accuracy": ">= dense - 0.02", "params": "<= 50000"},
    "latency": {"batch_size": 8},
    "space": {
        "granularity": ["weight", "neuron"],
        "threshold": [0.3, 0.98],
        "eps": 1e-3,
        "weight_threshold": {"low": 1e-4, "high": 1, "log": True},
        "lr_restart": [True, False],
        "ratio": {"default": [0.0, 0.95], "fc1": [0.5, 0.99], "layer[12].*": 0.5},
    },
    "start": [{"function": "gradual", "threshold": 0.9}],
}


def test_short_forms_of_ranges() -> None:
    space = StudySpec.parse(FULL).space
    assert space["granularity"] == Range(choices=("weight", "neuron"))
    assert space["threshold"] == Range(low=0.3, high=0.98)
    assert space["eps"] == Range(choices=(1e-3,))
    assert space["weight_threshold"] == Range(low=1e-4, high=1, log=True)
    assert {k for k in space if k.startswith("ratio")} == {"ratio.default", "ratio.fc1", "ratio.layer[12].*"}


def test_a_study_survives_being_written_down() -> None:
    spec = StudySpec.parse(FULL)
    assert StudySpec.parse(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("text", "bound", "feasible", "infeasible"),
    [
        (">= dense - 0.02", 0.88, 0.88, 0.87),
        (">= dense", 0.9, 0.9, 0.89),
        ("<= dense * 0.5", 0.45, 0.45, 0.46),
        (">= dense + 0.01", 0.91, 0.92, 0.9),
        ("<= 50000", 50000, 49999, 50001),
        ("<= 1e-3", 0.001, 0.0005, 0.002),
        (">= -0.5", -0.5, -0.4, -0.6),
        ("<=-1e2", -100, -101, -99),
    ],
)
def test_constraints(text: str, bound: float, feasible: float, infeasible: float) -> None:
    constraint = Constraint.parse("accuracy", text)
    assert constraint.bound(0.9) == pytest.approx(bound)
    assert constraint.violation(feasible, 0.9) <= 0 < constraint.violation(infeasible, 0.9)
    assert Constraint.parse("accuracy", str(constraint).removeprefix("accuracy ")) == constraint


@pytest.mark.parametrize(
    "text",
    [
        *("", ">=", "0.9", "== 3", ">= dens - 1", ">= dense 0.02", "<= dense -", "<= 5 0", ">= dense / 2", "<= 1.2.3"),
        *(">= dense * -0.5", ">= dense - -1", "<= -", "<= - 5"),
    ],
)
def test_words_that_are_no_constraint(text: str) -> None:
    with pytest.raises(ValueError, match="not a constraint"):
        Constraint.parse("accuracy", text)


def test_where() -> None:
    told = [str(c) for c in parse_where("accuracy >= dense - 0.01 and params <= 5000, latency_ms <= dense * 0.5")]
    assert told == ["accuracy >= dense - 0.01", "params <= 5000", "latency_ms <= dense * 0.5"]
    assert [(c.relative, c.number) for c in parse_where("accuracy >= -0.5")] == [("", -0.5)]
    with pytest.raises(ValueError, match="did you mean 'params'"):
        parse_where("parms <= 3")


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "task: digits-mlp\nepochs: -1\nobjectives: [accuracy, lat]\nconstraints: {acc: '>= 1'}\n"
        "space: {treshold: [0, 1], threshold: [0.3, 1.2], function: [onee], ratio: {fc1: [0, 2]}, criterion.units: fpgm}\n"
        "trails: 3\n"
    )
    with pytest.raises(StudyError) as caught:
        StudySpec.load(path)
    told = str(caught.value)
    for line in (
        "epochs: must be greater than or equal to 0",
        "objectives: 'lat' is not a measure",
        "constraints.acc: 'acc' is not a measure",
        "space.treshold: unknown field; did you mean 'threshold'?",
        "space.threshold: must be >= 0.0 and < 1.0, got 1.2",
        "space.function: 'onee' is unknown",
        "space.criterion.units: unknown field; did you mean 'criterion'?",
        "space.ratio.fc1: must be >= 0.0 and < 1.0, got 2",
        "trails: unknown field; did you mean 'trials'?",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ([0.9, 0.3], "low <= high must hold, but got (low=0.9, high=0.3)"),
        ([0.1, 0.2, 0.3], "write two numbers for a range"),
        ({"low": 0.1}, "write {low, high, log, step}"),
        ({"low": 0.0, "high": 0.5, "log": True}, "a logarithmic range must start above 0"),
        ({"low": 0.1, "high": 0.5, "log": "no"}, "log must be true or false, got 'no'"),
        ({"low": 0.1, "high": 0.5, "step": "0.1"}, "step must be a number above 0, got '0.1'"),
        ({"low": 0.1, "high": 0.5, "step": -0.1}, "step must be a number above 0, got -0.1"),
        ({"low": 0.1, "high": 0.5, "step": True}, "step must be a number above 0, got True"),
        (None, "is empty"),
        ([], "write two numbers for a range"),
        ("much", "must be a number, got 'much'"),
        (True, "must be a number"),
    ],
)
def test_ranges_that_are_none(entry: object, told: str) -> None:
    with pytest.raises(StudyError) as caught:
        StudySpec.parse({"name": "a", "task": "b", "space": {"threshold": entry}})
    assert told in str(caught.value)


def test_a_file_gives_its_name_to_the_study(tmp_path: Path) -> None:
    path = tmp_path / "my study.yaml"
    path.write_text("task: digits-mlp\n")
    assert StudySpec.load(path).name == "my-study"


def test_unknown_ready_study() -> None:
    with pytest.raises(StudyError, match="no ready study is called 'quikstart'"):
        StudySpec.find("quikstart")

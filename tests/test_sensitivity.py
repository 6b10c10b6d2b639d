"""The sensitivity file: envelope and tolerance by hand, what is refused, and whose task it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.errors import StudyError
from prunesearch.results import TaskInfo
from prunesearch.sensitivity import GroupCurve, Sensitivity
from prunesearch.spec import StudySpec
from tests.search.parts import MLP, group, info

RATIOS = (0.2, 0.5, 0.8)


def curve(name: str, drops: Any, kind: Any = "neuron", size: int = 30) -> GroupCurve:
    return GroupCurve(group=name, kind=kind, size=size, drops=drops)


def made(*curves: GroupCurve, **fields: Any) -> Sensitivity:
    """A sensitivity of the tests' task."""
    given = {"task": "digits-mlp", "digest": "d" * 16, "seeds": (0,), "epochs": 10, "criterion": "l1", "dense": 0.95}
    return Sensitivity(
        **{**given, "params": 10_000, "ratios": RATIOS, "groups": curves or (curve("fc1", (0.0, 0.01, 0.2)),), **fields}
    )


def test_the_envelope_only_rises_and_a_failure_is_a_loss_without_bound() -> None:
    assert curve("fc1", (-0.01, 0.03, 0.02)).envelope == (-0.01, 0.03, 0.03)
    assert curve("fc1", (0.0, None, 0.0)).envelope == (0.0, float("inf"), float("inf"))


@pytest.mark.parametrize(
    ("drops", "within"),
    [
        ((0.0, 0.01, 0.2), {0.5: 0.2, 1: 0.5, 10: 0.5, 20: 0.8}),
        ((0.03, 0.0, 0.0), {1: 0.0, 3: 0.8}),  # what comes after a loss that is too large counts for nothing
        ((0.0, 0.05, 0.0), {1: 0.2, 5: 0.8}),
        ((0.0, None, 0.0), {90: 0.2}),
        ((-0.1, -0.2, -0.1), {0.5: 0.8}),
    ],
)
def test_how_far_a_group_goes(drops: Any, within: dict[float, float]) -> None:
    found = made(curve("fc1", drops))
    assert {points: found.tolerated(MLP[3], points) for points in within} == within
    assert found.tolerated(MLP[4], 100) is None


def test_a_point_is_a_point_in_binary_too() -> None:
    assert made(curve("fc1", (0.95 - 0.94, 0.3, 0.3))).tolerated(MLP[3], 1) == 0.2


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_a_point_of_an_error_is_one_per_cent_of_dense_whatever_its_scale(scale: float) -> None:
    lost = (1e-6 * scale, 8e-3 * scale)
    found = made(curve("fc1", lost), ratios=(0.2, 0.5), direction="minimize", dense=2e-4 * scale)
    assert found.within(found.groups[0], 1) == 0.2
    assert [found.points(drop) for drop in lost] == pytest.approx([0.5, 4000])


def test_where_dense_makes_no_error_any_error_is_a_loss_without_bound() -> None:
    found = made(curve("fc1", (0.0, 1e-9, 0.0)), direction="minimize", dense=0.0)
    assert found.tolerated(MLP[3], 1000) == 0.2


@given(st.lists(st.floats(-0.1, 0.9), min_size=3, max_size=3), st.floats(0, 50), st.floats(0, 50))
def test_more_tolerance_never_prunes_less_and_every_ratio_below_is_within(drops: list[float], one: float, other: float) -> None:
    found = made(curve("fc1", drops))
    low, high = sorted((one, other))
    reached = found.within(found.groups[0], high)
    assert found.within(found.groups[0], low) <= reached
    assert all(found.points(drop) <= high + 1e-9 for ratio, drop in zip(RATIOS, drops, strict=True) if ratio <= reached)


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    found = made(
        GroupCurve(group="fc1", kind="neuron", size=3, drops=(0.0, None, 0.1), deviations=(0.0, None, 0.2), params=(9, None, 1))
    )
    path = tmp_path / "s.json"
    path.write_text(json.dumps(found.to_dict()))
    assert Sensitivity.load(path) == found
    assert json.loads(path.read_text())["schema_version"] == 1
    assert (found.short, made().short) == (Sensitivity.load(path).short, made().short)
    assert found.short != made().short


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version: must be 1"),
        ({"ratios": [0.5, 0.2, 0.8]}, "ratios: must ascend, above 0 and below 1"),
        ({"ratios": [0.2, 0.5]}, "fc1 has 3 drops for 2 ratios"),
        ({"ratios": [0.0, 0.5, 0.8]}, "ratios: must ascend"),
        ({"groups": []}, "groups: "),
        ({"dense": float("nan")}, "dense: "),
        ({"groups": [curve("fc1", (0, 0, 0)).model_dump()] * 2}, "fc1 (neuron) is there twice"),
        ({"rations": 3}, "rations: unknown field; did you mean 'ratios'"),
    ],
)
def test_what_is_no_sensitivity_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        Sensitivity.parse({**made().to_dict(), **change}, "s.json")
    assert message in caught.value.message and caught.value.message.startswith("s.json: ")
    assert "prunesearch sensitivity" in (caught.value.hint or "")


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    for name, words in (("list.json", "holds no sensitivity"), ("broken.json", "line"), ("none.json", "No such file")):
        with pytest.raises(StudyError, match=words):
            Sensitivity.load(tmp_path / name)


def test_a_study_names_the_file_and_keeps_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(made().to_dict()))
    (tmp_path / "study.yaml").write_text("task: digits-mlp\nsensitivity: s.json\n")
    spec = StudySpec.load(tmp_path / "study.yaml")
    assert spec.sensitivity == made()
    assert StudySpec.parse(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(StudyError, match=r"sensitivity: .*gone\.json: No such file"):
        StudySpec.parse({"name": "s", "task": "digits-mlp", "sensitivity": str(tmp_path / "gone.json")})


@pytest.mark.parametrize(
    ("curves", "task", "message"),
    [
        ([curve("fc11", (0, 0, 0))], info(), "digits-mlp prunes no neuron group 'fc11'; did you mean 'fc1'"),
        ([curve("fc1", (0, 0, 0), "filter")], info(), "digits-mlp prunes no filter group 'fc1'"),
        ([curve("fc3", (0, 0, 0), "weight", 100)], info(), "digits-mlp prunes no weight group 'fc3'"),
        ([curve("fc1", (0, 0, 0), size=31)], info(), "group 'fc1' has 30 neurons here, 31 in the file"),
        ([curve("fc1", (0, 0, 0))], replace(info(), digest="other"), "data, network or recipe of digits-mlp are not those"),
    ],
)
def test_another_tasks_file_is_refused(curves: list[GroupCurve], task: TaskInfo, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        made(*curves).check_task(task, 0)
    assert message in caught.value.message
    assert "measured on another task, digits-mlp" in caught.value.message


def test_the_digest_counts_where_it_can_be_equal() -> None:
    made().check_task(info(), 0)
    made().check_task(replace(info(), digest="initial values of another seed"), 1)
    made().check_task(replace(info(), digest="pretended", device="fake"), 0)
    made(curve("fc1", (0, 0, 0))).check_task(info((*MLP, group("new", "neuron"))), 0)

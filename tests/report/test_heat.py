"""The table and the figure of a sensitivity say what the curves hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prunesearch.report.figures import write_figure
from prunesearch.report.heat import metric_at, sensitivity_csv, sensitivity_figure, sensitivity_table
from prunesearch.sensitivity import GroupCurve, Sensitivity

CURVES = (
    GroupCurve(group="conv1", kind="weight", size=90, drops=(0.0, -0.004, 0.3), params=(90, 80, 70)),
    GroupCurve(group="conv1", kind="filter", size=8, drops=(0.009, 0.02, None), params=(90, 80, None)),
    GroupCurve(group="fc1", kind="neuron", size=30, drops=(-0.0, 0.012, 0.005), params=(90, 80, 70)),
)


def made(**fields: Any) -> Sensitivity:
    given = {"task": "t", "digest": "d", "seeds": (0,), "epochs": 10, "criterion": "l1", "dense": 0.9, "params": 100}
    return Sensitivity(**{**given, "ratios": (0.2, 0.5, 0.95), "groups": CURVES, **fields})


def drawn(found: Sensitivity) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(sensitivity_figure(found).to_json())
    return plain


def test_the_table_has_points_and_how_far_a_group_goes() -> None:
    table = sensitivity_table(made())
    cells = [[column.text(row) for column in table.columns] for row in table.rows]
    assert [c.title for c in table.columns] == ["group", "of", "elements", "20 %", "50 %", "95 %", "1 point"]
    assert cells == [
        ["conv1", "weight", "90", "0.0", "-0.4", "30.0", "50 %"],
        ["conv1", "filter", "8", "0.9", "2.0", "-", "20 %"],
        ["fc1", "neuron", "30", "0.0", "1.2", "0.5", "20 %"],
    ]
    assert "dense 0.9000" in table.title


def test_csv_has_a_row_per_group_and_ratio() -> None:
    table = sensitivity_csv(made())
    assert [c.key for c in table.columns][:6] == ["group", "kind", "size", "ratio", "accuracy", "drop"]
    assert len(table.rows) == 9
    assert {**table.rows[1], "accuracy": None} == {
        "group": "conv1",
        "kind": "weight",
        "size": 90,
        "ratio": 0.5,
        "drop": -0.004,
        "accuracy": None,
        "deviation": None,
        "params": 80,
        "seeds": 1,
    }
    assert table.rows[1]["accuracy"] == pytest.approx(0.904)
    assert table.rows[5]["accuracy"] is None


def test_less_may_be_better() -> None:
    loss = made(direction="minimize", metric="loss")
    assert metric_at(loss, 0.1) == pytest.approx(1.0)
    assert metric_at(made(), 0.1) == pytest.approx(0.8)


def test_a_point_of_an_error_is_one_per_cent_of_dense_whatever_its_scale() -> None:
    shown = []
    for scale in (1e-4, 100.0):
        curve = GroupCurve(group="fc1", kind="neuron", size=30, drops=(0.01 * scale, 3 * scale, None))
        found = made(direction="minimize", metric="mse", dense=2 * scale, groups=(curve,))
        table, heat = sensitivity_table(found), drawn(found)["data"][0]
        shown.append(([c.text(table.rows[0]) for c in table.columns], heat["z"], heat["text"]))
        assert table.title.endswith("; a point is 1 % of dense)")
    for cells, z, text in shown:
        assert cells == ["fc1", "neuron", "30", "0.5", "150.0", "-", "20 %"]
        assert (z, text) == ([[pytest.approx(0.5), pytest.approx(150), None]], [["0.5", "150.0", "failed"]])
    assert "1 % of dense" not in sensitivity_table(made()).title


def test_groups_that_are_called_by_numbers_have_a_row_each() -> None:
    groups = [GroupCurve(group=name, kind=kind, size=8, drops=(0.0, 0.1, 0.2)) for kind in ("weight", "filter") for name in "024"]
    layout = drawn(made(groups=groups))["layout"]
    assert [layout[axis]["type"] for axis in ("xaxis", "yaxis", "xaxis3", "yaxis3")] == ["category"] * 4
    assert "type" not in layout["yaxis2"]


def test_heat_maps_of_weights_above_those_of_units_in_the_order_of_the_network() -> None:
    plain = drawn(made())
    weights, units = [t for t in plain["data"] if t["type"] == "heatmap"]
    assert (weights["y"], units["y"]) == (["conv1"], ["conv1", "fc1"])
    assert units["z"] == [
        [pytest.approx(0.9), pytest.approx(2.0), None],
        [pytest.approx(0.0), pytest.approx(1.2), pytest.approx(0.5)],
    ]
    assert units["text"] == [["0.9", "2.0", "failed"], ["0.0", "1.2", "0.5"]]
    assert weights["x"] == ["20 %", "50 %", "95 %"]
    assert plain["layout"]["yaxis"]["autorange"] == "reversed"
    assert "weights: points of accuracy lost" in [a["text"] for a in plain["layout"]["annotations"]]


def test_lines_begin_at_the_dense_network() -> None:
    plain = drawn(made(seeds=(0, 1), groups=(CURVES[0].model_copy(update={"deviations": (0.0, 0.1, 0.2)}),)))
    line, dense = [t for t in plain["data"] if t["type"] == "scatter"]
    assert line["x"] == [0.0, 0.2, 0.5, 0.95]
    assert line["y"] == pytest.approx([0.9, 0.9, 0.904, 0.6])
    assert line["error_y"]["array"] == [0.0, 0.0, 0.1, 0.2]
    assert (dense["name"], dense["y"]) == ("dense", [0.9, 0.9])
    assert "mean of 2 seeds, bars: standard deviation" in plain["layout"]["title"]["text"]


def test_what_came_after_the_cut_is_told() -> None:
    assert "not trained afterwards" in drawn(made())["layout"]["title"]["text"]
    assert "3 epochs of training afterwards" in drawn(made(retrain=3))["layout"]["title"]["text"]


def test_a_picture_grows_with_the_groups(tmp_path: Path) -> None:
    many = [GroupCurve(group=f"layer{i}", kind="filter", size=8, drops=(0.0, 0.1, 0.2)) for i in range(30)]
    assert drawn(made(groups=many))["layout"]["height"] > drawn(made())["layout"]["height"]
    page = write_figure(sensitivity_figure(made()), tmp_path / "s.html").read_text()
    assert "points of accuracy lost" in page

"""The figure of curves: which lines it has, what lies along x, what the buttons do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from prunesearch.report.curve_table import curve_csv, curve_table
from prunesearch.report.curves import FEW, Drawing, curve_figure
from prunesearch.report.published import Published
from prunesearch.sweeps.curves import FIGURES, CurvePoint


def point(series: str, removed: float, accuracy: float | None, *, sd: float = 0.0, reason: str | None = None) -> CurvePoint:
    figures = {"removed": removed, "sparsity": removed / 2, "params": 1000 * (1 - removed / 2), "test_loss": 1 - (accuracy or 0)}
    figures |= {"test_accuracy": accuracy or 0, "accuracy": (accuracy or 0) - 0.01}
    deviations = {"test_accuracy": sd} if sd else {}
    kind = series.partition(",")[0]
    return CurvePoint(series, removed, kind, {} if accuracy is None else figures, deviations, 3 if sd else 1, reason)


DENSE = replace(point("dense", 0.0, 0.95), granularity="")
POINTS = (
    point("weight, l1", 0.9, 0.6, sd=0.02),
    point("weight, l1", 0.5, 0.9, sd=0.01),
    point("neuron, l1", 0.5, 0.8),
    point("neuron, l1", 0.9, 0.3, reason="at chance"),
)
DRAWING = Drawing(POINTS, DENSE, "a title", buttons=False)


def drawn(drawing: Drawing) -> tuple[dict[str, Any], dict[str, Any]]:
    plain = json.loads(curve_figure(drawing).to_json())
    return {t["name"]: t for t in reversed(plain["data"]) if t.get("visible", True)}, plain["layout"]


def test_lines_run_from_left_to_right_weights_dotted_units_solid() -> None:
    traces, _ = drawn(DRAWING)
    weight, neuron = traces["weight, l1"], traces["neuron, l1"]
    assert (weight["x"], weight["y"], weight["line"]["dash"]) == ([0.25, 0.45], [0.9, 0.6], "dot")
    assert (neuron["x"], neuron["y"], neuron["line"]["dash"]) == ([0.25, 0.45], [0.8, 0.3], "solid")
    assert drawn(replace(DRAWING, axis="removed"))[0]["weight, l1"]["x"] == [0.5, 0.9]
    alone, _ = drawn(replace(DRAWING, points=POINTS[:2]))
    assert alone["weight, l1"]["line"]["dash"] == "solid"


def test_losses_are_thin_lines_on_the_second_axis() -> None:
    traces, layout = drawn(DRAWING)
    loss = traces["weight, l1, loss"]
    assert (loss["yaxis"], loss["showlegend"]) == ("y2", False)
    assert [round(v, 9) for v in loss["y"]] == [0.1, 0.4]
    assert layout["yaxis2"]["title"]["text"] == "loss (test)"
    assert layout["yaxis"]["title"]["text"] == "accuracy (test)"
    assert drawn(replace(DRAWING, split="validation"))[0]["weight, l1"]["y"] == [0.89, 0.59]


def test_bands_are_one_deviation_to_either_side_and_only_where_there_is_one() -> None:
    traces, _ = drawn(DRAWING)
    band = traces["weight, l1, deviation"]
    assert band["x"] == [0.25, 0.45, 0.45, 0.25]
    assert [round(v, 9) for v in band["y"]] == [0.91, 0.62, 0.58, 0.89]
    assert "neuron, l1, deviation" not in traces
    assert traces["weight, l1"]["hovertext"][0].startswith("weight, l1, 50 % asked<br>accuracy 0.9000 ± 0.0100 (3 seeds)")


def test_the_dense_network_is_a_dashed_line() -> None:
    dense = drawn(DRAWING)[0]["dense 0.9500"]
    assert (dense["y"], dense["line"]["dash"]) == ([0.95, 0.95], "dash")


def test_what_is_not_usable_is_a_cross_that_says_why() -> None:
    lost = point("neuron, l1", 0.99, None, reason="out of memory")
    traces, _ = drawn(replace(DRAWING, points=(*POINTS, lost)))
    assert traces["neuron, l1"]["marker"]["symbol"] == ["circle", "x"]
    assert traces["neuron, l1"]["hovertext"][1].endswith("<br>at chance")
    crosses = traces["cross: no usable network"]
    assert (crosses["x"], crosses["y"]) == ([0.99], [0.3])
    assert crosses["hovertext"] == ["neuron, l1, 99 % asked<br>out of memory"]
    assert "cross: no usable network" not in drawn(replace(DRAWING, points=POINTS[:3]))[0]


def test_networks_that_are_lost_are_drawn_at_the_worst_end() -> None:
    lost = replace(DRAWING, points=(*POINTS, point("neuron, l1", 0.99, None, reason="out of memory")))
    assert drawn(lost)[0]["cross: no usable network"]["y"] == [0.3]
    assert drawn(replace(lost, maximize=False))[0]["cross: no usable network"]["y"] == [0.9]


def test_buttons_change_the_axis_and_show_the_other_lines() -> None:
    plain = json.loads(curve_figure(replace(DRAWING, buttons=True)).to_json())
    first, second = plain["layout"]["updatemenus"][0]["buttons"]
    assert [first["label"], second["label"]] == ["parameters removed", "weights or units removed"]
    visible, change = second["args"]
    shown = {t["name"]: t for t, seen in zip(plain["data"], visible["visible"], strict=True) if seen}
    assert shown["weight, l1"]["x"] == [0.5, 0.9]
    assert change == {"xaxis.title.text": "weights or units removed"}
    assert [t.get("visible", True) for t in plain["data"]] == first["args"][0]["visible"]
    assert "updatemenus" not in drawn(DRAWING)[1]


def test_published_points_are_drawn_on_the_axis_that_they_are_of() -> None:
    published = (Published("Keras", 0.8, 0.9), Published("Keras", 0.5, 0.95), Published("Han", 0.92, 0.98, "sparsity"))
    traces, _ = drawn(replace(DRAWING, published=published, axis="removed"))
    assert (traces["Keras"]["x"], traces["Keras"]["y"], traces["Keras"]["showlegend"]) == ([0.5, 0.8], [0.95, 0.9], True)
    assert traces["Han"]["showlegend"] is False
    assert drawn(replace(DRAWING, published=published))[0]["Han"]["x"] == [0.92]
    ours = {t["line"]["color"] for n, t in traces.items() if n in ("weight, l1", "neuron, l1")}
    assert not ours & {traces["Keras"]["line"]["color"], traces["Han"]["line"]["color"]}


def test_many_lines_have_bars_and_neither_bands_nor_losses() -> None:
    many = [point(f"weight, {n}", k, 0.9 - k / 2, sd=0.01) for n in range(FEW + 1) for k in (0.1, 0.9)]
    traces, layout = drawn(replace(DRAWING, points=many))
    assert len(traces) == FEW + 2
    assert traces["weight, 0"]["error_y"]["array"] == [0.01, 0.01]
    assert "yaxis2" not in layout


def test_it_travels_as_plain_lists() -> None:
    assert "bdata" not in curve_figure(replace(DRAWING, buttons=True)).to_json()


def test_the_table_shows_one_split_and_the_csv_everything() -> None:
    table = curve_table(POINTS, DENSE, split="test", metric="accuracy", title="t")
    titles = [c.title for c in table.columns]
    assert titles[:6] == ["series", "level", "removed", "parameters removed", "params", "test accuracy"]
    assert titles[-1] == "no usable network because"
    cells = {c.key: c.text(table.rows[1]) for c in table.columns}
    assert (cells["series"], cells["level"], cells["points"]) == ("weight, l1", "90 %", "-35.0")
    assert (cells["test_accuracy"], cells["test_accuracy_sd"], cells["params"]) == ("0.6000", "0.0200", "550")
    minimised = curve_table(POINTS, DENSE, split="validation", metric="mse", title="t", maximize=False)
    assert {c.key: c.text(minimised.rows[1]) for c in minimised.columns}["points"] == "-37.2 %"
    wide = curve_csv(POINTS, DENSE)
    assert {c.key for c in wide.columns} >= {*FIGURES, *(f"{n}_sd" for n in FIGURES), "series", "level", "seeds", "reason"}
    assert [r["series"] for r in wide.rows] == ["dense", "weight, l1", "weight, l1", "neuron, l1", "neuron, l1"]

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prunesearch.errors import EnvironmentFailure, UsageError
from prunesearch.report.figures import write_figure
from prunesearch.report.pareto import LOOKS, Point, Standing, pareto_figure
from prunesearch.results import Measures
from tests.disk import full_disk


def point(trial: int, standing: Standing, accuracy: float = 0.9, params: int = 100, latency: float | None = 0.1) -> Point:
    return Point(trial, Measures(accuracy, params, params, 1, 1, 0.5, 1.0, latency_ms=latency), standing, f"policy {trial}")


DENSE = point(-1, "front", 0.95, 1000, 0.2).measures
POINTS = [
    point(0, "front", 0.94, 300),
    point(1, "front", 0.9, 100, 0.05),
    point(2, "dominated", 0.8, 500),
    point(3, "infeasible"),
]


def traces(points: list[Point], dense: Measures | None = DENSE) -> dict[str, Any]:
    figure = pareto_figure(points, dense, title="t", metric="top5")
    return {t["name"]: t for t in json.loads(figure.to_json())["data"]}


def test_every_standing_has_its_own_marks_and_dense_is_a_star() -> None:
    found = traces(POINTS)
    assert list(found) == ["infeasible", "dominated", "front", "dense"]
    assert (found["front"]["x"], found["front"]["y"]) == ([300, 100], [0.94, 0.9])
    assert (found["dense"]["x"], found["dense"]["y"], found["dense"]["marker"]["symbol"]) == ([1000], [0.95], "star")
    assert found["infeasible"]["marker"]["color"] == LOOKS["infeasible"][2]


def test_latency_is_the_colour_of_the_front_where_it_was_measured() -> None:
    assert traces(POINTS)["front"]["marker"]["color"] == [0.1, 0.05]
    assert isinstance(traces([point(0, "front", latency=None)])["front"]["marker"]["color"], str)


def test_infeasible_networks_do_not_stretch_the_axis() -> None:
    points = [*POINTS, point(4, "infeasible", 0.1), point(5, "infeasible", 0.2)]
    figure = json.loads(pareto_figure(points, DENSE, title="t").to_json())
    low, high = figure["layout"]["yaxis"]["range"]
    assert 0.2 < low < 0.8 < 0.95 < high < 1
    assert figure["data"][0]["name"] == "infeasible (2 beyond the edge)"
    assert figure["data"][0]["y"] == [0.9, 0.1, 0.2]
    assert "range" not in json.loads(pareto_figure(POINTS, DENSE, title="t").to_json())["layout"]["yaxis"]


def test_what_is_not_there_is_not_drawn() -> None:
    assert list(traces([POINTS[0]], dense=None)) == ["front"]
    assert list(traces([])) == ["dense"]


def test_parameters_are_on_a_log_scale_and_the_metric_has_its_name() -> None:
    layout = json.loads(pareto_figure(POINTS, DENSE, title="t", metric="top5").to_json())["layout"]
    assert layout["xaxis"]["type"] == "log"
    assert layout["yaxis"]["title"]["text"] == "top5 (validation)"


def test_hovering_tells_trial_figures_and_policy() -> None:
    assert traces(POINTS)["front"]["hovertext"][0] == "trial 0: 0.9400<br>300 parameters (3.33x fewer)<br>0.1000 ms<br>policy 0"


def test_it_travels_as_plain_lists() -> None:
    """Optuna's dashboard draws with a plotly.js that may not know packed arrays."""
    assert "bdata" not in pareto_figure(POINTS, DENSE, title="t").to_json()


def test_figures_are_written_as_html_and_nothing_unknown(tmp_path: Path) -> None:
    figure = pareto_figure(POINTS, DENSE, title="a title")
    assert "a title" in write_figure(figure, tmp_path / "f.html").read_text()
    assert "a title" in write_figure(figure, tmp_path / "f.HTML").read_text()
    with pytest.raises(UsageError, match=r"does not end in \.html or \.png"):
        write_figure(figure, tmp_path / "f.svg")
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        write_figure(figure, tmp_path / "no" / "f.html")


def test_a_figure_that_is_there_stays_where_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "f.html"
    path.write_text("as it was")
    with full_disk(1000), pytest.raises(EnvironmentFailure, match="cannot write"):
        write_figure(pareto_figure(POINTS, DENSE, title="t"), path)
    assert path.read_text() == "as it was" and list(tmp_path.iterdir()) == [path]

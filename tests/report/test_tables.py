from __future__ import annotations

import pytest

from prunesearch.front import Direction, Front, FrontRow
from prunesearch.policy import Policy
from prunesearch.report.table import Column
from prunesearch.report.tables import (
    epochs_table,
    front_csv,
    front_table,
    groups_table,
    layers_table,
    measures_table,
    status_table,
)
from prunesearch.results import MEASURES, EpochRow, GroupInfo, LayerRow, Measures

THREE: dict[str, Direction] = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}


def row(trial: int, accuracy: float, params: int, confirmed: bool = False) -> FrontRow:
    measures = Measures(accuracy, params, params, 10 * params, 4 * params, 0.5, 1.0)
    return FrontRow(trial, measures, Policy(epochs=4, threshold=0.5), confirmed={"seeds": 5} if confirmed else None)


DENSE = row(-1, 0.9, 1000).measures


def front(*rows: FrontRow, dense: Measures | None = DENSE) -> Front:
    return Front.of(rows, THREE, dense=dense, study="s")


def cells(front: Front) -> list[list[str]]:
    table = front_table(front)
    return [[c.text(r) for c in table.columns] for r in table.rows]


def test_a_front_stands_below_the_dense_network() -> None:
    assert cells(front(row(3, 0.89, 500))) == [
        ["dense", "0.9000", "-", "1,000", "-", "10,000", "-", "-", "the network as it is, not pruned"],
        ["3", "0.8900", "-1.0", "500", "2.00x", "5,000", "2.00x", "-", "50 % of weights, per layer l1, one shot at epoch 0"],
    ]


def test_a_metric_that_is_minimised_stands_with_its_change_in_per_cent_of_dense() -> None:
    ways: dict[str, Direction] = {"accuracy": "minimize", "params": "minimize"}
    rows = (row(0, 0.45, 500), row(1, 0.9, 400), row(2, 1.26, 300))
    found = front_table(Front.of(rows, ways, dense=DENSE, study="s"))
    assert [found.columns[2].text(r) for r in found.rows] == ["-", "-50.0 %", "+0.0 %", "+40.0 %"]


def test_without_a_dense_network_nothing_is_compared() -> None:
    table = front_table(front(row(3, 0.89, 500), dense=None))
    assert [c.title for c in table.columns] == ["trial", "accuracy", "params", "macs", "", "policy"]
    assert table.marked == frozenset()


def test_the_knee_is_named_where_there_is_something_to_choose() -> None:
    three = front(row(0, 0.9, 900), row(1, 0.88, 300), row(2, 0.5, 290))
    assert [r[-2] for r in cells(three)] == ["-", "-", "knee", "-"]
    assert "knee" not in {r[-2] for r in cells(front(row(0, 0.9, 900)))}


def test_the_knee_of_a_choice_is_that_of_the_whole_front() -> None:
    whole = front(row(0, 0.9, 900), row(1, 0.89, 700), row(2, 0.88, 600), row(3, 0.85, 100))
    assert whole.knee().trial == 3
    assert "knee" not in {r[-2] for r in cells(whole.where("accuracy >= 0.87"))}
    assert [(r[0], r[-2]) for r in cells(whole.where("accuracy >= 0.85").where("params <= 600"))[1:]] == [
        ("2", "-"),
        ("3", "knee"),
    ]
    assert cells(whole.chosen([whole[3]]))[1][-2] == "knee"


def test_what_is_not_confirmed_is_marked_so() -> None:
    assert front_table(front(row(0, 0.9, 500))).title == "Front of s (not confirmed over fresh seeds)"
    assert front_table(front(row(0, 0.9, 500, confirmed=True))).title == "Front of s"


def test_csv_has_every_measure() -> None:
    assert [c.key for c in front_csv(front(row(0, 0.9, 500))).columns] == [
        "trial",
        *MEASURES,
        "feasible",
        "confirmed",
        "seed",
        "digest",
        "policy",
    ]


@pytest.mark.parametrize(("value", "text"), [(None, "-"), ("", "-"), (0, "0"), (1234, "1,234")])
def test_cells(value: object, text: str) -> None:
    assert Column("x", "x", lambda v: f"{v:,}").text({"x": value}) == text


def test_measures_stand_beside_dense_and_their_meaning() -> None:
    table = measures_table(row(0, 0.8, 500).measures, DENSE)
    assert [r["measure"] for r in table.rows] == list(MEASURES)
    first = {c.key: c.text(table.rows[0]) for c in table.columns}
    assert first == {"measure": "accuracy", "value": "0.8000", "dense": "0.9000", "meaning": MEASURES["accuracy"]}


def test_layers_epochs_and_groups() -> None:
    layers = layers_table((LayerRow("fc1", "neuron", 3, 4), LayerRow("none", "neuron", 0, 0)))
    assert [c.text(layers.rows[0]) for c in layers.columns] == ["fc1", "neuron", "3", "4", "75 %"]
    assert layers.columns[-1].text(layers.rows[1]) == "-"
    epochs = epochs_table((EpochRow(0, 0.5, 0.9, 1e-3, 0.25, 0.125),))
    assert [c.text(epochs.rows[0]) for c in epochs.columns] == ["0", "0.5000", "0.9000", "0.001", "25 %", "0.12"]
    groups = groups_table((GroupInfo("fc1", "neuron", ("fc1.weight", "fc2.weight"), 4, 44, None),))
    assert [c.text(groups.rows[0]) for c in groups.columns] == ["fc1", "neuron", "4", "44", "-", "fc1.weight, fc2.weight"]


def test_status_is_one_figure_a_line() -> None:
    table = status_table({"study": "s", "dense": True, "states": {"failed": 2}, "running": {4: "noon"}, "hypervolume": None})
    shown = {table.columns[0].text(r): table.columns[1].text(r) for r in table.rows}
    assert shown == {"study": "s", "dense": "yes", "hypervolume": "-", "failed trials": "2", "trial 4 runs since": "noon"}

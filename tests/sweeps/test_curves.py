"""From a sweep to lines: fractions counted by hand, means and deviations, reasons."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any, Literal

import pytest

from prunesearch.api.curving import Curve
from prunesearch.engines import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo, LatencySpec, LayerRow, Measures, Result, TaskInfo
from prunesearch.sweeps import Candidate, Point, Sweep, run_sweep, sweep_on
from prunesearch.sweeps.curves import FIGURES, curve_points, dense_point, figures_of, removed, reported_split

ROWS: tuple[tuple[str, Literal["weight", "neuron"], int, int, str | None], ...] = (
    ("fc1", "weight", 72, 72, None),
    ("fc2", "weight", 384, 384, None),
    ("fc3", "weight", 48, 48, "it is the output layer"),
    ("fc1", "neuron", 24, 480, None),
    ("fc2", "neuron", 16, 448, None),
    ("fc3", "neuron", 3, 51, "its units are the network's outputs"),
)
GROUPS = tuple(
    GroupInfo(n, kind, (f"{n}.weight",), size, params, spared, output=(n, kind) == ("fc3", "weight"))
    for n, kind, size, params, spared in ROWS
)
INFO = TaskInfo("blobs", "d", 4, "accuracy", "maximize", GROUPS, False, 547, 504, (240, 90, 90), 3, (3,), "cpu")


def made(accuracy: float, **fields: object) -> Result:
    given: dict[str, object] = {"state": "complete", "losses": {"validation": 1 - accuracy, "test": 2 - accuracy}, **fields}
    return Result(measures=Measures(accuracy, 300, 300, 280, 1200, 0.45, 0.1, accuracy - 0.01), **given)  # type: ignore[arg-type]


def test_what_is_removed_from_a_small_network_counted_by_hand() -> None:
    """64-128-64-10: 8,192 + 8,192 + 640 weights and 202 biases; half of the hidden weights, or of the hidden neurons."""
    cut = [Policy(epochs=1, granularity=g, threshold=0.5, epoch_threshold=1) for g in ("weight", "neuron")]
    spec = EngineSpec("digits-mlp", 1, device="cpu")
    candidates = [Candidate(policy.granularity, 0.5, policy) for policy in cut]
    weight, neuron = curve_points(run_sweep(spec, candidates, (0,), engine="serial"))
    assert weight.figures["removed"] == neuron.figures["removed"] == 0.5
    assert weight.figures["sparsity"] == pytest.approx(8_192 / 17_226)
    left = (64 * 64 + 64) + (64 * 32 + 32) + (32 * 10 + 10)
    assert neuron.figures["params"] == left
    assert neuron.figures["sparsity"] == pytest.approx(1 - left / 17_226)


def test_groups_that_a_policy_spares_do_not_count() -> None:
    rows = (LayerRow("fc1", "weight", 72, 72), LayerRow("fc2", "weight", 192, 384), LayerRow("fc3", "weight", 48, 48))
    result = made(0.9, layers=rows)
    assert removed(result, Policy(epochs=4), INFO) == pytest.approx(192 / 456)
    assert removed(result, Policy(epochs=4, only=("fc2",)), INFO) == 0.5
    assert removed(result, Policy(epochs=4, spare=("fc1",)), INFO) == 0.5
    output = (*rows[:2], LayerRow("fc3", "weight", 24, 48))
    assert removed(made(0.9, layers=output), Policy(epochs=4, prune_output_layer=True), INFO) == pytest.approx(216 / 504)
    assert removed(result, None, INFO) == 0.0


def swept(results: list[Result], dense: tuple[Result, ...] = (made(0.9), made(0.8), made(0.94))) -> Sweep:
    seeds = tuple(range(len(results)))
    policy = Policy(epochs=4, threshold=0.5)
    points = tuple(Point("w", 0.5, seed, result, policy) for seed, result in zip(seeds, results, strict=True))
    return Sweep("blobs", INFO, 4, seeds, dict(zip(seeds, dense, strict=False)), points)


def test_figures_are_means_with_their_deviations() -> None:
    accuracies = [0.7, 0.6, 0.74]
    sweep = swept([made(a) for a in accuracies])
    (point,) = curve_points(sweep)
    assert point.figures["accuracy"] == pytest.approx(statistics.fmean(accuracies))
    assert point.deviations["accuracy"] == pytest.approx(statistics.stdev(accuracies))
    assert point.figures["test_loss"] == pytest.approx(2 - statistics.fmean(accuracies))
    assert (point.granularity, point.seeds, point.reason) == ("weight", 3, None)
    assert dense_point(sweep).figures["accuracy"] == pytest.approx(0.88)
    assert dense_point(sweep).figures["removed"] == 0.0


def test_one_seed_has_no_deviation_and_every_figure_a_column() -> None:
    (point,) = curve_points(swept([made(0.7)]))
    row = point.to_dict()
    assert point.deviations == {}
    assert {n: row[f"{n}_sd"] for n in FIGURES} == dict.fromkeys(FIGURES)
    assert (row["test_accuracy"], row["latency_ms"], row["level"]) == (pytest.approx(0.69), None, 0.5)


@pytest.mark.parametrize(("direction", "end"), [("maximize", 0.29), ("minimize", 0.59)])
def test_lost_networks_are_drawn_at_the_worst_end_of_the_metric(direction: Any, end: float) -> None:
    policy, lost = Policy(epochs=4, threshold=0.5), Result("failed", None, reason="out of memory")
    points = [Point("w", k, 0, result, policy) for k, result in ((0.5, made(0.3)), (0.7, made(0.6)), (0.9, lost))]
    sweep = Sweep("blobs", replace(INFO, direction=direction), 4, (0,), {0: made(0.2)}, tuple(points))
    (cross,) = [t for t in Curve(sweep).figure(buttons=False).data if t.name == "cross: no usable network"]
    assert list(cross.y) == pytest.approx([end])


def test_a_point_says_which_seeds_gave_nothing_and_the_others_count() -> None:
    lost = Result("failed", None, reason="out of memory")
    collapsed = made(0.1, state="infeasible", reason="accuracy is at chance")
    (point,) = curve_points(swept([made(0.7), lost, made(0.5)]))
    assert point.figures["accuracy"] == pytest.approx(0.6)
    assert (point.seeds, point.reason) == (2, "1 of 3 seeds: out of memory")
    (point,) = curve_points(swept([collapsed]))
    assert (point.figures["accuracy"], point.reason) == (0.1, "accuracy is at chance")
    (point,) = curve_points(swept([lost]))
    assert (point.figures, point.seeds, point.reason) == ({}, 0, "out of memory")


def test_a_loss_without_bound_is_no_figure() -> None:
    (point,) = curve_points(swept([made(0.7), made(0.5, losses={"test": float("inf"), "validation": 1.0})]))
    assert point.figures["test_loss"] == pytest.approx(1.3)
    assert point.figures["loss"] == pytest.approx(0.65)
    assert "test_loss" not in point.deviations


def test_validation_is_shown_where_there_is_no_test_split() -> None:
    assert reported_split(swept([made(0.9)])) == "test"
    untested = Result("complete", Measures(0.9, 1, 1, 1, 1, 0.0, 0.0))
    assert reported_split(swept([made(0.9)], (untested,))) == "validation"
    assert figures_of(untested, None, INFO) == {
        "removed": 0.0, "sparsity": 0.0, "params": 1, "macs": 1, "accuracy": 0.9
    }  # fmt: skip


def test_latency_is_there_where_it_was_asked_for() -> None:
    half = Candidate("w", 0.5, Policy(epochs=10, threshold=0.5, granularity="neuron"))
    sweep = sweep_on(FakeEngine(EngineSpec("digits-mlp", 10)), "digits-mlp", [half], (0,), latency=LatencySpec())
    assert curve_points(sweep)[0].figures["latency_ms"] < dense_point(sweep).figures["latency_ms"]

"""Curves of the proofs: what the command prints is what is kept, the command is run once, and pages say what was missed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.proof import curves, grid, like_for_like, recipes, small, strategies
from benchmarks.proof.curves import Asked
from benchmarks.proof.searches import Where
from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from prunesearch.cli.app import app
from prunesearch.models import mlp
from prunesearch.policy import Policy

SMALL = Asked("small", "Small", ("--task", "iris-mlp", "--levels", "0.5,0.9", "--seeds", "2", "--engine", "fake"))


def printed(asked: Asked) -> dict[str, Any]:
    """What the command prints, its networks invented."""
    arguments = [*asked.arguments, "--engine", "fake", "--quiet", "--format", "json"]
    done = CliRunner().invoke(app, ["curve", *arguments])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def run_of(asked: Asked, told: dict[str, Any]) -> Run:
    about = {"wall": 90, "processor": 30, "commit": "abc1234", "load": 2.0, "date": "2026-11-20 12:00 UTC"}
    machine = {"cpu": "a processor", "cores": 2, "memory_gib": 4, "system": "Linux"}
    machine |= dict.fromkeys(("python", "torch", "torchvision", "optuna"), "1")
    return {"command": asked.command, **about, "machine": machine, **curves.kept(told)}


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # commands name policy files and tasks from the checkout


@pytest.mark.slow
def test_a_curve_is_run_once_and_kept(tmp_path: Path) -> None:
    record = Record("try", tmp_path)
    curves.measure(record, SMALL, Where(tmp_path / "work"))
    (first,) = record.runs
    curves.measure(record, SMALL, Where(tmp_path / "nowhere"))
    assert record.runs == [first]
    assert first["command"] == SMALL.command
    assert first["seeds"] == [0, 1]
    assert first["processor"] <= 2 * first["wall"] + 1


def test_points_are_means_over_the_seeds_that_the_command_printed(inside: None) -> None:
    told = printed(SMALL)
    run = run_of(SMALL, told)
    each = [r["test_accuracy"] for r in told["runs"] if r["series"] == "weight, l1" and r["level"] == 0.9]
    point = curves.at(run, "weight, l1", 0.9)
    assert len(each) == 2
    assert point is not None
    assert point.figures["test_accuracy"] == pytest.approx(fmean(each), abs=1e-5)
    assert point.deviations["test_accuracy"] == pytest.approx(stdev(each), abs=1e-5)
    assert curves.told(point) == f"{100 * fmean(each):.2f} ± {100 * stdev(each):.2f}"
    assert curves.levels_of(run) == [0.5, 0.9]
    assert curves.at(run, "weight, l1", 0.7) is None
    assert curves.dense_of(run).figures["sparsity"] == 0


def test_the_grid_has_all_schedules_and_misses_nothing_that_it_reaches(inside: None) -> None:
    run = run_of(grid.CURVE, printed(grid.CURVE))
    assert len({p.series for p in curves.points_of(run)}) == 7
    assert grid.missed(run) == []
    level = run["series"][grid.GRADUAL]["levels"]["0.6"]
    level["test_accuracy"] = [0.90] * 3
    assert grid.missed(run) == [0.6]


def test_a_published_figure_counts_as_reached_within_seed_noise_and_no_further(inside: None) -> None:
    asked = like_for_like.CURVES["mnist"]
    told = printed(replace(asked, arguments=("--task", "mnist-mlp1000", *asked.arguments[2:])))
    run = run_of(asked, told)
    rows = run["series"]["weight, l2"]["levels"]
    for values, count in (([0.970, 0.972, 0.974], 0), ([0.9701, 0.9702, 0.9703], 1)):  # 97.26 is published
        rows["0.8"]["test_accuracy"] = values
        rows["0.9"]["test_accuracy"] = rows["0.5"]["test_accuracy"] = rows["0.95"]["test_accuracy"] = [0.99] * 3
        beyond, within = ([x for x in found if "Neural" in x and "weights" in x] for found in like_for_like.lower("mnist", run))
        assert (len(beyond), len(within)) == (count, 1 - count)


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_strategies_cut_at_half_of_the_epochs(name: str) -> None:
    policy = Policy.load(ROOT / "benchmarks" / "proof" / "policies" / f"{name}.yaml")
    assert policy.granularity == "neuron"
    assert 2 * policy.epoch_threshold == policy.epochs
    assert policy.lr_restart
    assert (policy.recovery, policy.prune_iter) == {"new": ("reinit", None), "initial": ("rewind_weights", None)}.get(
        name.split("-")[2], ("keep", 5)
    )


@pytest.mark.parametrize("module", [grid, like_for_like, strategies])
def test_sections_say_commands_and_are_empty_without_a_record(module: Any, inside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stored", lambda _name: [])
    assert module.section() == ""
    assert module.summary() == []
    asked = next(iter(_asked(module)))
    builtin = ("--task", "mnist-mlp1000", *asked.arguments[2:]) if module is like_for_like else asked.arguments
    run = run_of(asked, printed(replace(asked, arguments=builtin)))
    monkeypatch.setattr(module, "stored", lambda _name: [run])
    text = module.section()
    assert asked.command in text
    assert f"pictures/{asked.name}.png" in text
    assert all(row.system for row in module.summary())


def _asked(module: Any) -> Sequence[Asked]:
    known = getattr(module, "CURVES", None)
    return (
        (module.CURVE,)
        if known is None
        else tuple(known.values())
        if isinstance(known, dict | type(like_for_like.CURVES))
        else known
    )


def test_the_published_network_has_no_biases_and_is_drawn_after_glorot() -> None:
    layers = dict(recipes.network().named_parameters())
    assert sum(p.numel() for p in layers.values()) == 2_386_000
    assert all(name.endswith("weight") for name in layers)
    for weights in layers.values():
        outputs, inputs = weights.shape
        limit = math.sqrt(6 / (inputs + outputs))
        assert 0.97 * limit < float(weights.detach().abs().max()) <= limit


@pytest.mark.parametrize("study", small.WIDTHS)
def test_budgets_of_small_networks_are_those_of_smaller_ones(study: str) -> None:
    for share in (0.0, *small.SHARES):
        widths = small.WIDTHS[study]
        hidden = [n - math.floor(round(n * share, 6)) for n in widths[1:-1]]
        network = mlp((widths[0], *hidden, widths[-1]))
        assert small.allowed(study, share) == sum(p.numel() for p in network.parameters())


def test_validation_over_fresh_seeds_chooses_and_test_does_not() -> None:
    policies = [
        Policy(epochs=4, granularity="neuron", threshold=level, epoch_threshold=1).to_dict() for level in (0.9, 0.91, 0.92)
    ]
    trials = [
        {"state": "complete", "params": params, "accuracy": accuracy, "policy": policy}
        for policy, params, accuracy in zip(policies, (17, 17, 18), (0.95, 0.94, 0.99), strict=True)
    ]
    search = {"kind": "search", "study": "moons", "trials": trials}
    listed = small.shortlist(search)
    assert [label for label in listed if label.startswith("0.9")] == ["0.9, 1", "0.9, 2"]  # 18 parameters are too many
    assert len([label for label in listed if label.startswith("0.8")]) == 3
    figures = {"0.9, 1": (0.90, 0.99), "0.9, 2": (0.93, 0.80)}
    runs = [
        {"kind": "repeat", "task": "moons-mlp", "label": label, "seed": seed, "accuracy": val, "test_accuracy": test}
        for label, (val, test) in figures.items()
        for seed in (1, 2, 3)
    ]
    found = small.confirmed(runs, search, 0.9)
    assert found is not None
    assert found[0] == listed["0.9, 2"]
    assert {r["test_accuracy"] for r in found[1]} == {0.80}

"""Sweeps: every policy with every seed beside the dense network, trained once, judged by networks that torch itself pruned."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune

from prunesearch.engines import EngineSpec
from prunesearch.engines.dense import reference_of
from prunesearch.engines.fake import FakeEngine, Fault
from prunesearch.errors import EnvironmentFailure, PolicyError, TaskError, UsageError
from prunesearch.measure.accuracy import evaluate
from prunesearch.policy import Policy
from prunesearch.results import LatencySpec, Result
from prunesearch.sweeps import Candidate, Cuts, DenseMeasured, News, PointMeasured, Started, Sweep, run_sweep, sweep_on
from prunesearch.trial import TrialRunner
from tests.trial.blobs import blobs, job, make_task, measured

LEVELS = (0.0, 0.25, 0.5, 0.75, 0.875)  # of 72 and 384 weights: whole numbers, which torch does not round otherwise
CUTS = Cuts(LEVELS, ("weight", "neuron"))


def spec(stages: Path | None = None) -> EngineSpec:
    return EngineSpec("blobs", device="cpu", stages=None if stages is None else str(stages))


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def heard() -> list[News]:
    return []


@pytest.fixture(scope="module")
def sweep(stages: Path, heard: list[News]) -> Sweep:
    return run_sweep(spec(stages), CUTS.candidates, (3, 5), task=make_task(), engine="serial", listener=heard.append)


def trained(seed: int, folder: Path) -> nn.Module:
    """The dense network as a trial of its own trains it."""
    TrialRunner.from_task(make_task(), spec()).run(job(seed=seed, keep_to=str(folder / str(seed))))
    model = make_task().model()
    model.load_state_dict(load_file(folder / str(seed) / "model.safetensors"))
    return model


def test_without_retraining_weights_are_those_that_torch_prunes(sweep: Sweep, tmp_path: Path) -> None:
    for seed, level in itertools.product((3, 5), LEVELS):
        model = trained(seed, tmp_path)
        *hidden, _output = [m for m in model.modules() if isinstance(m, nn.Linear)]
        for layer in hidden:
            prune.l1_unstructured(layer, "weight", amount=level)
        model.requires_grad_(requires_grad=False)
        (point,) = [p for p in sweep.points if (p.series, p.level, p.seed) == ("weight, l1", level, seed)]
        measures, losses = measured(point.result), point.result.losses
        for data, accuracy, split in ((1, measures.test_accuracy, "test"), (2, measures.accuracy, "validation")):
            x, y = blobs(90, seed=data)
            assert accuracy == evaluate(model, [(x, y)], "accuracy")
            assert losses[split] == pytest.approx(float(nn.functional.cross_entropy(model(x), y)), rel=1e-4)


def test_points_come_in_the_order_asked_and_level_0_is_the_dense_network(sweep: Sweep) -> None:
    asked = [(s, level, seed) for s in ("weight, l1", "neuron, l1") for level in LEVELS for seed in (3, 5)]
    assert [(p.series, p.level, p.seed) for p in sweep.points] == asked
    assert all(p.result is sweep.dense[p.seed] for p in sweep.points if p.level == 0)
    assert (sweep.task, sweep.epochs, sweep.seeds) == ("blobs", 4, (3, 5))
    assert sweep.dense[3].measures != sweep.dense[5].measures


def test_only_the_dense_networks_are_trained(sweep: Sweep) -> None:
    assert {r.epochs_trained for r in sweep.dense.values()} == {4}
    assert {p.result.epochs_trained for p in sweep.points if p.policy} == {0}


def test_the_listener_hears_of_every_network(sweep: Sweep, heard: list[News]) -> None:
    jobs = 2 * (1 + 8)
    assert isinstance(heard[0], Started)
    assert (heard[0].jobs, heard[0].at_once) == (jobs, 1)
    assert [n.done for n in heard if isinstance(n, DenseMeasured | PointMeasured)] == list(range(1, jobs + 1))
    told = [n.point for n in heard if isinstance(n, PointMeasured)]
    assert {(p.series, p.level, p.seed) for p in told} == {(p.series, p.level, p.seed) for p in sweep.points if p.policy}


def test_a_sweep_that_was_stopped_goes_on_from_what_it_trained(tmp_path: Path, sweep: Sweep) -> None:
    def stop(news: News) -> None:
        if isinstance(news, PointMeasured) and news.point.level == 0.5:
            raise KeyboardInterrupt

    def go_on(listener: object = None) -> Sweep:
        how = {"task": make_task(), "engine": "serial", "listener": listener}
        return run_sweep(spec(tmp_path), replace(CUTS, granularities=("weight",), retrain=2).candidates, (3,), **how)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        go_on(stop)
    again = go_on()
    assert again.dense[3].epochs_trained == 0
    assert [p.result.epochs_trained for p in again.points] == [0, 0, 0, 2, 2]
    assert measured(again.dense[3]).accuracy == measured(sweep.dense[3]).accuracy


def test_equal_policies_are_one_job() -> None:
    half = Policy(epochs=10, threshold=0.5, epoch_threshold=10)
    same = Policy(epochs=10, threshold=0.5, epoch_threshold=10, criterion="l2")
    heard: list[News] = []
    found = faked([Candidate("a", 0.5, half), Candidate("b", 0.5, same)], {}, heard)
    assert isinstance(heard[0], Started)
    assert heard[0].jobs == 2
    assert found.points[0].result is found.points[1].result


def faked(candidates: Sequence[Candidate], faults: dict[int, list[Fault]], heard: list[News] | None = None) -> Sweep:
    engine = FakeEngine(EngineSpec("digits-mlp", 10), faults=faults)
    return sweep_on(engine, "digits-mlp", candidates, (0,), listener=None if heard is None else heard.append)


POINTS = [Candidate("w", level, Policy(epochs=10, threshold=level, epoch_threshold=10)) for level in (0.5, 0.9)]


def test_a_point_that_fails_is_a_point_with_its_reason() -> None:
    failed, fine = faked(POINTS, {0: ["nan"]}).points
    assert (failed.result.state, failed.result.reason) == ("failed", "the loss is not a number in epoch 0")
    assert fine.result.state == "complete"


def test_a_worker_that_dies_once_is_forgiven_and_twice_is_told() -> None:
    assert {p.result.state for p in faked(POINTS, {0: ["lost"]}).points} == {"complete"}
    died, fine = faked(POINTS, {0: ["lost", "lost"]}).points
    assert died.result.state == "failed"
    assert "SIGKILL" in str(died.result.reason)
    assert fine.result.state == "complete"


def test_without_a_dense_network_there_is_no_sweep() -> None:
    with pytest.raises(TaskError, match="could not be trained: the loss is not a number"):
        faked(POINTS, {-1: ["nan"]})
    with pytest.raises(EnvironmentFailure, match="could not be trained: worker 0"):
        faked(POINTS, {-1: ["lost", "lost"]})
    with pytest.raises(EnvironmentFailure, match="could not be trained: no room"):
        reference_of(Result("failed", None, reason="no room", outside=True), LatencySpec())


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_have_to_differ(seeds: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="seeds that differ"):
        run_sweep(EngineSpec("digits-mlp"), POINTS, seeds, engine="fake")


def test_a_sweep_needs_points_of_its_own_epochs() -> None:
    with pytest.raises(UsageError, match="at least one point"):
        run_sweep(EngineSpec("digits-mlp"), [], (0,), engine="fake")
    with pytest.raises(PolicyError, match="'w' was made for 10 epochs, the sweep has 7"):
        run_sweep(EngineSpec("digits-mlp", 7), POINTS, (0,), engine="fake")


def test_given_weights_are_judged_as_they_are(tmp_path: Path) -> None:
    model = trained(0, tmp_path)
    state = model.state_dict()
    found = run_sweep(spec(), replace(CUTS, levels=(0.5,)).candidates, (0,), task=make_task(weights=state), engine="serial")
    assert [len(p.result.epochs) for p in found.points] == [0, 0]
    assert measured(found.dense[0]).accuracy == evaluate(model, [blobs(90, seed=2)], "accuracy")

"""The fake engine: what it counts is right, what it makes up is plausible, and it goes wrong on demand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.engines import EngineSpec, open_engine
from prunesearch.engines.fake import FakeEngine
from prunesearch.engines.fake_networks import fake_network
from prunesearch.results import GroupInfo, Job, LatencySpec, Result
from prunesearch.tasks import builtin_tasks
from prunesearch.tasks.catalogue import DATA
from tests.engines.contract import drain, job

EMBEDDED = ("digits-mlp", "digits-cnn", "iris-mlp", "moons-mlp", "circles-mlp")
NETWORKS = [name for name in builtin_tasks() if not name.startswith("fashion")]


def result(engine: FakeEngine, one: Job) -> Result:
    engine.submit(one)
    found = drain(engine, 1)[0].result
    assert found is not None
    return found


def figures(engine: FakeEngine, **policy: Any) -> Any:
    return result(engine, job(1, **{"epochs": 5, **policy})).measures


def ordered(group: GroupInfo) -> GroupInfo:
    """The group with its members in the order of the alphabet."""
    return replace(group, members=tuple(sorted(group.members)))


@pytest.mark.parametrize("name", EMBEDDED)
def test_it_describes_tasks_as_the_real_engine_does(name: str) -> None:
    with open_engine("serial", EngineSpec(name, device="cpu")) as real, open_engine("fake", EngineSpec(name)) as fake:
        assert replace(real.describe(), digest="", device="") == replace(fake.describe(), digest="", device="")


@pytest.mark.parametrize("name", NETWORKS)
def test_its_tables_of_layers_are_the_networks(name: str) -> None:
    import torch

    from prunesearch import models
    from prunesearch.measure.params import count_macs
    from prunesearch.pruning.groups import find_groups

    data, _, network = name.partition("-")
    built = DATA[data].networks[network]
    model = getattr(models, built.build)(**built.kwargs)
    example = torch.randn(2, *DATA[data].shape)
    fake = fake_network(name)
    assert fake.params() == sum(p.numel() for p in model.parameters())
    assert fake.bytes() == sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    assert fake.macs() == count_macs(model, example)
    assert [ordered(g) for g in fake.groups] == [ordered(g) for g in find_groups(model, example).infos]


KEPT = (("neuron", 0.3, 1), ("filter", 0.3, 1), ("unit", 0.3, 1), ("unit", 0.9, 6), ("weight", 0.3, 1), ("weight", 0.9, 100))


@pytest.mark.parametrize(("granularity", "threshold", "min_units"), KEPT)
def test_it_counts_what_a_real_cut_leaves(granularity: str, threshold: float, min_units: int) -> None:
    policy = job(1, granularity=granularity, threshold=threshold, scope="layer", min_units=min_units).policy
    one = Job(1, policy, 1, seed=0)
    measured = []
    for kind in ("serial", "fake"):
        with open_engine(kind, EngineSpec("digits-cnn", device="cpu")) as engine:
            engine.submit(one)
            found = drain(engine, 1)[0].result
            assert found is not None and found.measures is not None
            measured.append((found.measures.params, found.measures.params_dense, found.measures.macs, found.layers))
    assert measured[0] == measured[1]


@given(low=st.floats(0.05, 0.9), more=st.floats(0.03, 0.09), kind=st.sampled_from(["weight", "neuron"]))
def test_more_sparsity_is_never_better_nor_larger(low: float, more: float, kind: str) -> None:
    engine = FakeEngine(EngineSpec("mnist-lenet300"))
    little, much = (figures(engine, threshold=t, granularity=kind) for t in (low, low + more))
    assert much.params < little.params
    assert much.sparsity > little.sparsity
    assert much.accuracy <= little.accuracy + 0.002  # its noise
    assert 0 <= much.accuracy <= 1


def test_random_choices_are_worse_and_units_fall_earlier() -> None:
    engine = FakeEngine(EngineSpec("mnist-lenet300"))
    assert figures(engine, threshold=0.95, criterion="random").accuracy < figures(engine, threshold=0.95).accuracy - 0.01
    units, weights = figures(engine, threshold=0.8, granularity="neuron"), figures(engine, threshold=0.9)
    assert units.accuracy < weights.accuracy - 0.01 and units.params > weights.params


def test_latency_falls_with_the_work_and_is_shared_among_equal_shapes() -> None:
    engine = FakeEngine(EngineSpec("mnist-lenet5"))
    dense = result(engine, Job(-1, None, 3, 0, LatencySpec()))
    weights, filters = (result(engine, replace(job(1, granularity=g), latency=LatencySpec())) for g in ("weight", "filter"))
    assert dense.measures and weights.measures and filters.measures
    assert weights.signature == dense.signature and weights.measures.latency_ratio == 1.0
    assert filters.measures.latency_ratio is not None and filters.measures.latency_ratio < 0.8
    known = replace(job(2, granularity="filter"), latency=LatencySpec(), known_latency={filters.signature: (0.5, 0.1)})
    shared = result(engine, known)
    assert shared.latency_shared and shared.measures and shared.measures.latency_ratio == 0.5


def test_epochs_follow_the_schedule() -> None:
    engine = FakeEngine(EngineSpec("mnist-lenet300"))
    rows = result(engine, job(1, epochs=6, function="gradual", threshold=0.9, epoch_threshold=1, converge_over=3)).epochs
    sparsities = [row.sparsity for row in rows]
    assert sparsities[:2] == [0.0, 0.0] and sparsities[2] > 0
    assert sparsities == sorted(sparsities) and sparsities[4] == sparsities[5]
    assert sparsities[-1] == pytest.approx(0.9, abs=0.01)


def test_rewind_pruning_answers_with_a_level_that_came_back() -> None:
    engine = FakeEngine(EngineSpec("mnist-lenet300"))
    found = result(engine, job(1, epochs=20, schedule_type="rewind_pruning", threshold=0.5, threshold_step=0.1, eps=0.02))
    assert found.measures is not None
    assert found.measures.sparsity > 0.48 and found.measures.accuracy > 0.9


def test_a_layer_of_a_residual_sum_means_its_group() -> None:
    with FakeEngine(EngineSpec("cifar10-resnet20")) as engine:
        found = result(engine, job(1, granularity="filter", spare=["stage1.0.conv2"]))
    assert {row.name for row in found.layers if row.kept == row.total} == {"conv1"}


def test_a_policy_that_removes_nothing_is_infeasible() -> None:
    found = result(FakeEngine(EngineSpec("digits-mlp")), job(1, threshold=0.0))
    assert (found.state, found.reason) == ("infeasible", "nothing was removed")


def test_unknown_tasks_are_a_small_perceptron() -> None:
    info = FakeEngine(EngineSpec("my_task.py:make_task", epochs=3)).describe()
    assert (info.name, info.epochs, info.granularities) == ("my_task.py:make_task", 3, ("weight", "neuron"))


def test_faults_come_as_asked_and_in_turn() -> None:
    engine = FakeEngine(EngineSpec("digits-mlp"), faults={4: ["lost", "nan", "fail"]})
    for _ in range(4):
        engine.submit(job(4))
    lost, nan, failed, well = drain(engine, 4)
    assert lost.result is None and "SIGKILL" in str(lost.lost)
    assert nan.result and nan.result.state == "failed" and "not a number" in str(nan.result.reason)
    assert failed.result and failed.result.state == "failed" and failed.result.trace
    assert well.result and well.result.state == "complete"


def test_a_slow_trial_finishes_after_the_others() -> None:
    engine = FakeEngine(EngineSpec("digits-mlp", workers=2), seconds=0.005, faults={0: ["slow"]})
    for n in range(4):
        engine.submit(job(n))
    assert engine.next(timeout=0) is None
    assert [o.job.number for o in drain(engine, 4)] == [1, 2, 3, 0]


def test_it_never_imports_torch() -> None:
    code = (
        "import sys; from prunesearch.engines import EngineSpec, open_engine\n"
        "from prunesearch.policy import Policy; from prunesearch.results import Job\n"
        "e = open_engine('fake', EngineSpec('digits-cnn')); e.describe(); e.submit(Job(1, Policy(epochs=2), 2, 0)); e.next();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

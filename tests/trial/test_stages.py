"""No epoch is trained twice, and a trial that goes on from another's epochs is that from scratch, bit for bit."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from prunesearch import catalogue
from prunesearch.criteria import CriterionInfo, register_score, registry
from prunesearch.criteria.base import Part, Score
from prunesearch.engines.base import EngineSpec
from prunesearch.policy import Policy
from prunesearch.results import Job, Result
from prunesearch.tasks import Task
from prunesearch.training import stages
from prunesearch.training.snapshots import SnapshotStore
from prunesearch.trial import TrialRunner
from tests.trial.blobs import CPU, job, make_task, needs_fast, numbers, policy


class Conv(nn.Module):
    """A small network with what makes forks go wrong: norms, channels_last, dropout."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x)
        return out


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = torch.rand(count, 3, 8, 8, generator=drawn) + 0.5 * torch.eye(3)[y][:, :, None, None]
    return (x * 100).to(torch.uint8), y


def conv_task(*, dropout: float = 0.0, **fields: Any) -> Task:
    data = {"train": images(150, 0), "val": images(60, 1), "test": images(60, 2)}
    made = {"model": lambda: Conv(dropout), "epochs": 5, "batch_size": 32, "lr": 1e-2, "augment": ("flip",), "name": "conv"}
    return Task(**{**data, **made, **fields})


def runner(task: Task, folder: Path | None, numerics: str = "exact") -> TrialRunner:
    stages = None if folder is None else str(folder)
    spec = EngineSpec(task.name or "", device="cpu", stages=stages, numerics=numerics)
    return TrialRunner.from_task(task, spec)


def bare(result: Result) -> Result:
    """Numbers, whoever trained the epochs."""
    plain = numbers(result)
    epochs = tuple(replace(row, shared=False) for row in plain.epochs)
    return replace(plain, epochs=epochs, epochs_trained=0, kept_in=None)


def kept(made: Policy | None, epochs: int, folder: Path) -> Job:
    return Job(number=0, policy=made, epochs=epochs, seed=0, keep_to=str(folder))


def assert_forked_is_scratch(task: Task, made: Policy, tmp_path: Path, *before: Policy, numerics: str = "exact") -> Result:
    """Run `made` from scratch and along stages that the dense network and `before` have trained; compare all bits."""
    scratch = runner(task, None, numerics).run(kept(made, made.epochs, tmp_path / "scratch"))
    first = runner(task, tmp_path / "stages", numerics)
    first.run(Job(number=-1, policy=None, epochs=made.epochs, seed=0))
    for earlier in before:
        first.run(job(earlier))
    forked = runner(task, tmp_path / "stages", numerics).run(kept(made, made.epochs, tmp_path / "forked"))
    assert scratch.state != "failed", scratch.reason
    assert_same(scratch, forked, tmp_path, "forked")
    lose_from(tmp_path / "stages", made.epochs - 2)  # masked or smaller by then, with what the optimiser has gathered since
    again = runner(task, tmp_path / "stages", numerics).run(kept(made, made.epochs, tmp_path / "again"))
    assert again.epochs_trained == 2
    assert_same(scratch, again, tmp_path, "again")
    return forked


def assert_same(scratch: Result, found: Result, tmp_path: Path, folder: str) -> None:
    """All figures, and all bits of the networks that were kept."""
    assert bare(found) == bare(scratch)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("scratch", folder))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def lose_from(folder: Path, epoch: int) -> None:
    """Remove all stages from after `epoch` on."""
    for facts in folder.glob("??/*.json"):
        if json.loads(facts.read_text())["row"]["epoch"] >= epoch:
            facts.unlink()
            facts.with_suffix(".safetensors").unlink()


BOUND = {"weight_threshold": 0.15, "threshold": None}
BRANCHES: list[dict[str, Any]] = [
    {"function": "one_shot", "epoch_threshold": 2},
    {"function": "one_shot_static", "epoch_threshold": 3},
    {"function": "one_shot_static", "epoch_threshold": 5},
    {"function": "one_shot_static", "epoch_threshold": 2, "recovery": "reinit"},
    {"function": "one_shot_static", "epoch_threshold": 2, "recovery": "rewind_weights", "rewind_to": 0, "lr_restart": True},
    {"function": "one_shot_static", "epoch_threshold": 3, "recovery": "rewind_weights", "rewind_to": 2},
    {"function": "gradual", "epoch_threshold": 1, "converge_over": 3},
    {"function": "iterative", "epoch_threshold": 1, "prune_iter": 3, "recovery": "rewind_weights", "rewind_to": 1},
    {"function": "iterative", "epoch_threshold": 2, "prune_iter": 3, "last_cut": "at_end"},
    {"schedule_type": "rewind_pruning", "epoch_threshold": 2, "threshold": 0.3, "threshold_step": 0.2, "eps": 0.2},
    {"function": "gradual", "epoch_threshold": 1, "converge_over": 2, "criterion": "taylor"},
    {"function": "one_shot_static", "epoch_threshold": 2, "criterion": "random", "recalibrate_batches": 2},
    {"function": "one_shot_static", "epoch_threshold": 2, "scope": "global"},
    {
        "function": "gradual",
        "epoch_threshold": 1,
        "converge_over": 2,
        "scope": "ratios",
        "ratio": {"default": 0.5},
        "threshold": None,
    },
    {"function": "gradual", "epoch_threshold": 0, "converge_over": 2, "recovery": "reinit"},
    {"function": "gradual", "epoch_threshold": 1, "converge_over": 2, "recovery": "rewind_weights", "rewind_to": 1},
    {"function": "iterative", "epoch_threshold": 1, "prune_iter": 2, "recovery": "reinit"},
    {"function": "iterative", "epoch_threshold": 1, "prune_iter": 2, "lr_restart": True},
    {"schedule_type": "magnitude_threshold", "function": "one_shot", "epoch_threshold": 1, **BOUND},
    {"schedule_type": "magnitude_threshold", "function": "one_shot_static", "epoch_threshold": 2, **BOUND},
    {"schedule_type": "magnitude_threshold", "function": "gradual", "epoch_threshold": 1, "converge_over": 2, **BOUND},
]


@pytest.mark.parametrize("granularity", ["weight", "filter"])
@pytest.mark.parametrize("fields", BRANCHES, ids=lambda f: "-".join(str(v) for v in f.values()))
def test_forked_equals_scratch(fields: dict[str, Any], granularity: str, tmp_path: Path) -> None:
    made = Policy.parse({"epochs": 5, "threshold": 0.5, "granularity": granularity, **fields})
    if granularity == "filter" and made.weight_threshold:
        made = made.model_copy(update={"weight_threshold": 0.95})  # in parts of the group's mean
    forked = assert_forked_is_scratch(conv_task(), made, tmp_path)
    assert forked.epochs_trained == 5 - (made.epoch_threshold + (made.function == "gradual"))


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adamw"},
        {"optimizer": "rmsprop"},
        {"optimizer": lambda parameters: torch.optim.Adam(parameters, lr=1e-2, amsgrad=True)},
        {"channels_last": False},
        {"dropout": 0.3},
        {"augment": ("flip", "crop")},
        {"lr_schedule": "cosine", "warmup_epochs": 1},
        {"lr_schedule": "one_cycle"},
    ],
    ids=lambda r: "-".join(f"{k}" for k in r) + str(next(iter(r.values())))[:12],
)
def test_forked_equals_scratch_for_recipes(recipe: dict[str, Any], tmp_path: Path) -> None:
    made = Policy.parse({"epochs": 5, "threshold": 0.5, "granularity": "filter", "epoch_threshold": 2})
    later = made.model_copy(update={"epoch_threshold": 3})
    assert_forked_is_scratch(conv_task(**recipe), made, tmp_path, later)


@needs_fast
@pytest.mark.parametrize("granularity", ["weight", "filter"])
@pytest.mark.parametrize("fields", [BRANCHES[i] for i in (0, 4, 7, 9, 10)], ids=lambda f: "-".join(map(str, f.values())))
def test_forked_equals_scratch_in_fast_numerics_too(fields: dict[str, Any], granularity: str, tmp_path: Path) -> None:
    made = Policy.parse({"epochs": 5, "threshold": 0.5, "granularity": granularity, **fields})
    forked = assert_forked_is_scratch(conv_task(), made, tmp_path, numerics="fast")
    assert forked.epochs_trained == 5 - (made.epoch_threshold + (made.function == "gradual"))


def test_pruned_epochs_are_shared_too(tmp_path: Path) -> None:
    """Two policies that differ in their third round only: all before it is trained once."""
    made = Policy.parse({"epochs": 6, "threshold": 0.5, "function": "gradual", "epoch_threshold": 1, "converge_over": 4})
    same = Policy.parse({**made.to_dict(), "converge_over": 4, "ramp": "cubic", "criterion": "l2"})
    run = runner(make_task(epochs=6), tmp_path)
    first, second = run.run(job(made, epochs=6)), run.run(job(same, epochs=6))
    assert (first.epochs_trained, second.epochs_trained) == (6, 0)
    assert bare(first) == bare(second)


def test_another_process_goes_on_where_this_one_stopped(tmp_path: Path) -> None:
    made = policy(function="gradual", epoch_threshold=1, converge_over=2)
    first = runner(make_task(), tmp_path).run(job(made))
    again = runner(make_task(), tmp_path).run(job(made))
    assert again.epochs_trained == 0
    assert all(row.shared for row in again.epochs)
    assert bare(first) == bare(again)


@pytest.mark.parametrize("what", ["lr", "seed", "data", "policy"])
def test_what_differs_is_not_shared(what: str, tmp_path: Path) -> None:
    made = policy(epoch_threshold=1)
    runner(make_task(), tmp_path).run(job(made))
    recipes: dict[str, dict[str, Any]] = {"lr": {"lr": 2e-2}, "data": {"batch_size": 16}}
    changed = made.model_copy(update={"threshold": 0.6}) if what == "policy" else made
    result = runner(make_task(**recipes.get(what, {})), tmp_path).run(job(changed, seed=1 if what == "seed" else 0))
    assert result.epochs_trained == (3 if what == "policy" else 4)


class Guarded(nn.CrossEntropyLoss):
    """A loss that holds what cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_read_is_shared_in_one_search_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = job(policy())
    first, other = (runner(make_task(loss=Guarded()), tmp_path) for _ in range(2))
    assert [run.run(made).epochs_trained for run in (first, first, other)] == [4, 0, 4]
    assert "in this search only" in caplog.text
    versioned = (runner(make_task(loss=Guarded(), version="1"), tmp_path) for _ in range(2))
    assert [run.run(made).epochs_trained for run in versioned] == [4, 0]


def test_a_damaged_snapshot_is_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = policy(function="gradual", epoch_threshold=1, converge_over=2)
    first = runner(make_task(), tmp_path).run(job(made))
    for path in tmp_path.glob("*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-3])
    again = runner(make_task(), tmp_path).run(job(made))
    assert bare(first) == bare(again)
    assert "damaged" in caplog.text


def test_evicted_snapshots_are_trained_again(tmp_path: Path) -> None:
    made = policy(function="gradual", epoch_threshold=1, converge_over=2)
    first = runner(make_task(), tmp_path).run(job(made))
    for path in tmp_path.glob("*/*.safetensors"):
        path.unlink()
    again = runner(make_task(), tmp_path).run(job(made))
    assert bare(first) == bare(again)
    assert again.epochs_trained == 4


def by_epoch(folder: Path) -> dict[int, Path]:
    """The facts of the only chain of stages in a folder."""
    return {json.loads(path.read_text())["row"]["epoch"]: path for path in folder.glob("??/*.json")}


def test_a_lost_stage_is_trained_from_the_one_before_it(tmp_path: Path) -> None:
    """The second and third epoch are known without their tensors: they are trained again, and the first is not."""
    made = policy(function="one_shot_static", epoch_threshold=3)
    runner(make_task(), tmp_path / "stages").run(Job(number=-1, policy=None, epochs=4, seed=0))
    known = by_epoch(tmp_path / "stages")
    for epoch in (1, 2):
        known[epoch].with_suffix(".safetensors").unlink()
    found = runner(make_task(), tmp_path / "stages").run(job(made))
    assert [row.shared for row in found.epochs] == [True, False, False, False]
    assert bare(found) == bare(runner(make_task(), None).run(job(made)))


def test_an_epoch_that_was_trained_before_another_was_found_lost_counts_as_trained(tmp_path: Path) -> None:
    """The first two are unknown and trained here; the third is known without tensors, which is found out in the fourth."""
    made = policy(function="one_shot_static", epoch_threshold=3)
    runner(make_task(), tmp_path).run(Job(number=-1, policy=None, epochs=4, seed=0))
    known = by_epoch(tmp_path)
    known[2].with_suffix(".safetensors").unlink()
    for epoch in (0, 1):
        known[epoch].unlink()
        known[epoch].with_suffix(".safetensors").unlink()
    found = runner(make_task(), tmp_path).run(job(made))
    assert (found.epochs_trained, [row.shared for row in found.epochs]) == (4, [False] * 4)


@pytest.mark.parametrize("facts", ["[]", "{}", '{"row": {"epoch": 0, "colour": "red"}}'])
def test_facts_that_another_version_wrote_are_replaced(facts: str, tmp_path: Path) -> None:
    first = runner(make_task(), tmp_path).run(job(policy()))
    for path in tmp_path.glob("??/*.json"):
        path.write_text(facts)
    again = runner(make_task(), tmp_path).run(job(policy()))
    assert bare(again) == bare(first)
    assert again.epochs_trained == 4


@pytest.mark.parametrize("shape", [(), (2,)], ids=["one number", "another shape"])
def test_a_snapshot_of_another_network_is_replaced(
    shape: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = policy(function="one_shot_static", epoch_threshold=2)
    first = runner(make_task(), tmp_path).run(job(made))
    for path in tmp_path.glob("??/*.json"):
        tensors = load_file(path.with_suffix(".safetensors"))
        other = {name: torch.zeros(shape) if name.startswith("model/") else tensor for name, tensor in tensors.items()}
        SnapshotStore(tmp_path, 1 << 30).put(path.stem, other, json.loads(path.read_text()))
    again = runner(make_task(), tmp_path).run(job(policy(function="one_shot_static", epoch_threshold=3)))
    assert again.state == "complete", again.reason
    assert "of another network" in caplog.text
    assert bare(runner(make_task(), tmp_path).run(job(made))) == bare(first)


def scoring(sign: float) -> Score:
    """A criterion under edition: the same function at the same place, which does something else."""

    def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
        return sign * parts[0].weight.abs().sum(1)

    return score


def test_what_a_criterion_of_the_users_own_has_pruned_is_shared_while_its_code_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", registry._Plugins())
    info = CriterionInfo("edited", "sign * sum of |w|", "a test", weights=False)
    fields = {"criterion": "edited", "granularity": "neuron", "function": "one_shot_static", "epoch_threshold": 2}
    results = []
    try:
        for sign in (1.0, 1.0, -1.0):
            register_score(info, scoring(sign))
            results.append(runner(make_task(), tmp_path).run(job(policy(**fields))))
        scratch = runner(make_task(), None).run(job(policy(**fields)))
    finally:
        del catalogue._CATALOGUE.known["edited"]
    assert [r.epochs_trained for r in results] == [4, 0, 2]  # dense epochs know no criterion
    assert bare(results[2]) == bare(scratch) != bare(results[0])


def test_a_task_with_a_loop_of_its_own_shares_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def own(model: nn.Module, batches: Any, optimizer: torch.optim.Optimizer) -> float:
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    run = runner(make_task(train_epoch=own), tmp_path)
    assert [run.run(job(policy())).epochs_trained for _ in range(2)] == [4, 4]
    assert "not shared" in caplog.text and "prunesearch check" not in caplog.text  # which no command could name


def test_a_wrong_snapshot_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is not vacuous: moments that are not restored give other bits."""
    monkeypatch.setattr(stages, "put_optimizer", lambda *_: None)
    made = Policy.parse({"epochs": 5, "threshold": 0.5, "granularity": "filter", "epoch_threshold": 2})
    with pytest.raises(AssertionError):
        assert_forked_is_scratch(conv_task(), made, tmp_path)


def test_snapshots_stay_under_their_budget(tmp_path: Path) -> None:
    spec = EngineSpec("blobs", device="cpu", stages=str(tmp_path), stage_budget=40_000)
    run = TrialRunner.from_task(make_task(), spec)
    for first in range(4):
        run.run(job(policy(function="one_shot_static", epoch_threshold=first)))
    assert sum(p.stat().st_size for p in tmp_path.glob("*/*.safetensors")) <= 40_000
    assert isinstance(SnapshotStore(tmp_path, 40_000).folder, Path)


def test_where_no_stage_can_be_written_training_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    made = job(policy())
    alone, shut_out = (runner(make_task(), folder).run(made) for folder in (None, tmp_path / "file" / "stages"))
    assert shut_out.state == "complete", shut_out.reason
    assert bare(shut_out) == bare(alone)
    assert caplog.messages == [f"snapshots are no longer kept in {tmp_path}/file/stages: Not a directory; training goes on"]


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    TrialRunner.from_task(make_task(), CPU).run(job(policy()))
    assert not list(tmp_path.iterdir())

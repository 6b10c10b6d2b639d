"""From a search to a bundle and back to the network: figures repeat exactly, in this process and in another one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import prunesearch as ps
from prunesearch import yamlfile
from prunesearch.errors import EnvironmentFailure, InfeasibleError, TaskError, TrialError, UsageError
from prunesearch.export.about import About
from prunesearch.export.bundle import CARD, POLICY
from prunesearch.export.card import card
from prunesearch.policy import Policy
from prunesearch.report.words import number
from prunesearch.results import ARCHITECTURE, WEIGHTS, Measures
from prunesearch.search.folders import MARK
from prunesearch.store import Store

ROOT = Path(__file__).resolve().parents[2]
EPOCHS, TRIALS = 4, 4
ACCURACY = """
import sys, torch, prunesearch as ps
from prunesearch.tasks import load_task
from prunesearch.training.prepare import prepare
torch.set_num_threads(1)
task = load_task(sys.argv[1], seed=0)
split = prepare(task, sys.argv[1], seed=0, device=torch.device("cpu")).splits.val
for bundle in sys.argv[2:]:
    model, right, total = ps.load(bundle), 0, 0
    with torch.no_grad():
        for x, y in split.ordered():
            right, total = right + int((model(x).argmax(1) == y).sum()), total + len(y)
    print(repr(right / total), sum(p.numel() for p in model.parameters()))
"""


@pytest.fixture(scope="module", params=["digits-mlp", "digits-cnn"])
def searched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """(store, task, folder with the networks that were kept)."""
    folder = tmp_path_factory.mktemp("export")
    url = f"sqlite:///{folder / 'studies.db'}"
    task = str(request.param)
    how = {"epochs": EPOCHS, "trials": TRIALS, "engine": "serial", "store": url, "name": "s"}
    ps.search(task=task, artifacts=str(folder / "kept"), **how)  # type: ignore[arg-type]
    return url, task, folder / "kept"


def recorded(url: str, trial: int) -> ps.FrontRow:
    return ps.front("s", trial=trial, store=url)[0]


def some_trial(url: str) -> int:
    """A trial of the front, one with fewer units where there is one."""
    front = ps.front("s", store=url)
    units = [row.trial for row in front if row.policy.is_unit]
    return (units or [row.trial for row in front])[0]


def test_a_bundle_has_four_files_and_no_pickle(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, _ = searched
    folder = Path(ps.export("s", trial=some_trial(url), to=str(tmp_path / "bundle"), store=url))
    assert {p.name for p in folder.iterdir()} == {POLICY, WEIGHTS, ARCHITECTURE, CARD}
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    for file in folder.iterdir():
        assert file.read_bytes()[:2] not in (b"PK", b"\x80\x04", b"\x80\x05", b"\x80\x02")


def test_another_process_loads_it_and_scores_what_was_recorded(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, task, _ = searched
    front = ps.front("s", store=url)
    bundles = [ps.export("s", trial=row.trial, to=str(tmp_path / f"b{row.trial}"), store=url) for row in front]
    code = [sys.executable, "-c", ACCURACY, task, *bundles]
    ran = subprocess.run(code, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False)
    scored = [(float(a), int(p)) for a, p in (line.split() for line in ran.stdout.splitlines())]
    assert scored == [(row.measures.accuracy, row.measures.params_dense) for row in front], ran.stderr


def test_run_on_the_exported_policy_repeats_the_trial(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, task, _ = searched
    trial = some_trial(url)
    bundle = Path(ps.export("s", trial=trial, to=str(tmp_path / "bundle"), store=url))
    again, row = ps.run(bundle / POLICY, task=task), recorded(url, trial)
    assert again.rescaled_from is None
    for name in ("accuracy", "test_accuracy", "params", "params_dense", "macs", "bytes", "sparsity"):
        assert getattr(again.measures, name) == getattr(row.measures, name), name
    with Store.open(url) as store:
        told = store.trial("s", trial)
    assert again.results[0].layers == told.layers
    assert [e.accuracy for e in again.results[0].epochs] == [e.accuracy for e in told.epochs]


def test_weights_from_running_again_are_those_that_were_kept(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, kept = searched
    trial = some_trial(url)
    first = ps.load(ps.export("s", trial=trial, to=str(tmp_path / "kept"), store=url))
    hidden = kept.rename(kept.with_name("hidden"))
    try:
        second = ps.load(ps.export("s", trial=trial, to=str(tmp_path / "again"), store=url))
    finally:
        hidden.rename(kept)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_a_network_of_another_study_in_the_folder_is_not_shipped(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, kept = searched
    trial = some_trial(url)
    first = ps.load(ps.export("s", trial=trial, to=str(tmp_path / "kept"), store=url))
    mark, weights = kept / "s" / MARK, kept / "s" / f"trial-{trial:05d}" / WEIGHTS
    before = mark.read_bytes(), weights.read_bytes()
    try:
        mark.write_text("2026-01-01T00:00:00.000+00:00\n")
        weights.write_bytes(b"those of another network")
        second = ps.load(ps.export("s", trial=trial, to=str(tmp_path / "again"), store=url))
    finally:
        mark.write_bytes(before[0])
        weights.write_bytes(before[1])
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_running_again_has_to_give_the_recorded_figures(
    searched: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _, _ = searched
    trial = some_trial(url)
    real = Store.trial

    def forged(self: Store, study: str, number_: int) -> object:
        found = real(self, study, number_)
        assert found.measures is not None
        return replace(found, kept_in=None, measures=replace(found.measures, accuracy=found.measures.accuracy + 0.001))

    monkeypatch.setattr(Store, "trial", forged)
    with pytest.raises(EnvironmentFailure, match=f"running trial {trial} again gave"):
        ps.export("s", trial=trial, to=str(tmp_path / "bundle"), store=url)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, _ = searched
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        ps.export("s", trial=some_trial(url), to=str(tmp_path / "bundle"), store=url)
    assert list((tmp_path / "bundle").iterdir()) == []


def test_the_card_tells_figures_doubt_and_the_way_back(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, task, _ = searched
    trial = some_trial(url)
    card = (Path(ps.export("s", trial=trial, to=str(tmp_path / "bundle"), store=url)) / CARD).read_text()
    row = recorded(url, trial)
    assert f"# {task}, pruned, trial {trial} of study s" in card
    assert "**Not confirmed.**" in card
    assert f"| params | {number(row.measures.params)} |" in card
    assert f"prunesearch run bundle/policy.yaml --task {task} --seed 0" in card
    assert "* latency at batch size 1, float32, eager, threads: 1\n" in card
    assert str(tmp_path) not in card


def test_the_command_on_the_card_repeats_the_trial(
    searched: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunesearch.cli.main import main

    url, _, _ = searched
    trial = some_trial(url)
    folder = Path(ps.export("s", trial=trial, to=str(tmp_path / "bundle"), store=url))
    command = re.search(r"```bash\nprunesearch (.*)\n```", (folder / CARD).read_text())
    assert command
    monkeypatch.chdir(folder.parent)
    assert main([*command[1].split(), "--format", "json"]) == 0
    plain, row = json.loads(capsys.readouterr().out), recorded(url, trial)
    assert (plain["accuracy"], plain["params"]) == (row.measures.accuracy, row.measures.params)
    assert {"test_accuracy", "params_dense", "epochs", "layers", "policy", "dense"} <= set(plain)
    assert len(plain["epochs"]) == EPOCHS


def test_damaged_weights_are_refused(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, _ = searched
    bundle = Path(ps.export("s", trial=some_trial(url), to=str(tmp_path / "bundle"), store=url))
    whole = (bundle / WEIGHTS).read_bytes()
    (bundle / WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(TaskError, match="damaged"):
        ps.load(bundle)
    (bundle / WEIGHTS).unlink()
    with pytest.raises(EnvironmentFailure, match="cannot read"):
        ps.load(bundle)
    (bundle / ARCHITECTURE).write_text("{")
    with pytest.raises(UsageError, match="not a bundle"):
        ps.load(bundle)


def test_a_network_of_another_class_is_refused(searched: tuple[str, str, Path], tmp_path: Path) -> None:
    url, _, _ = searched
    bundle = ps.export("s", trial=some_trial(url), to=str(tmp_path / "bundle"), store=url)
    with pytest.raises(TaskError, match="another network"):
        ps.load(bundle, task="circles-mlp")


def test_a_trial_without_a_network_cannot_be_exported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fake.db'}"
    ps.search("quickstart", trials=4, engine="fake", store=url)
    with pytest.raises(UsageError, match="invented figures"):
        ps.export("quickstart", knee=True, to=str(tmp_path / "bundle"), store=url)
    with pytest.raises(UsageError, match="no policy was chosen"):
        ps.export("quickstart", to=str(tmp_path / "bundle"), store=url)
    with pytest.raises(TrialError, match="no trial 99"):
        ps.export("quickstart", trial=99, to=str(tmp_path / "bundle"), store=url)
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*fake\.db/bundle'"):
        ps.export("quickstart", knee=True, to=str(tmp_path / "fake.db" / "bundle"), store=url)
    assert not (tmp_path / "bundle").exists()


def test_run_writes_a_bundle_too(tmp_path: Path) -> None:
    policy = Policy(epochs=3, granularity="neuron", threshold=0.5, epoch_threshold=1)
    ran = ps.run(policy, task="iris-mlp", seeds=2, to=str(tmp_path / "bundle"))
    assert ran.written == str(tmp_path / "bundle")
    assert ran.measures.accuracy == pytest.approx(sum(r.measures.accuracy for r in ran.results if r.measures) / 2)
    assert ran.deviations["params"] == 0
    assert sum(p.numel() for p in ps.load(ran.written).parameters()) == ran.measures.params


SPARSE = """
name: sparse
task: {task}
epochs: 3
trials: 2
space: {{granularity: weight, function: one_shot_static, scope: global, threshold: 0.96}}
"""


@pytest.mark.parametrize("task", ["digits-mlp", "digits-cnn"])
def test_a_network_that_lost_dead_units_is_exported_kept_or_run_again(task: str, tmp_path: Path) -> None:
    url, study = f"sqlite:///{tmp_path / 'studies.db'}", tmp_path / "sparse.yaml"
    study.write_text(SPARSE.format(task=task))
    front = ps.search(str(study), engine="serial", store=url, artifacts=str(tmp_path / "kept"))
    row = front[0]
    assert front.dense and row.measures.params_dense < front.dense.params_dense
    first = ps.load(ps.export("sparse", trial=row.trial, to=str(tmp_path / "first"), store=url))
    (tmp_path / "kept").rename(tmp_path / "hidden")
    again = ps.load(ps.export("sparse", trial=row.trial, to=str(tmp_path / "again"), store=url))
    assert sum(p.numel() for p in first.parameters()) == row.measures.params_dense
    x = torch.rand(32, 1, 8, 8)
    assert torch.equal(first(x), again(x)) and "dead units: " in (tmp_path / "first" / CARD).read_text()
    ran = ps.run(row.policy, task=task, to=str(tmp_path / "ran"))
    assert (ran.measures.accuracy, ran.measures.params) == (row.measures.accuracy, row.measures.params)
    assert torch.equal(first(x), ps.load(str(ran.written))(x))


def test_run_rescales_to_other_epochs_and_says_so() -> None:
    policy = Policy(epochs=10, function="gradual", threshold=0.5, epoch_threshold=2, converge_over=6)
    ran = ps.run(policy, task="iris-mlp", epochs=5)
    assert (ran.rescaled_from, ran.policy.epoch_threshold, ran.policy.converge_over) == (10, 1, 3)
    assert len(ran.results[0].epochs) == 5


def test_a_policy_that_leaves_nothing_is_told(tmp_path: Path) -> None:
    policy = Policy(epochs=2, schedule_type="magnitude_threshold", weight_threshold=1e6)
    with pytest.raises(InfeasibleError, match="without a usable network"):
        ps.run(policy, task="iris-mlp", to=str(tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


TASK_FILE = """
import torch
import prunesearch as ps
x, y = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 3
def make_task():
    net = lambda: torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    return ps.Task(model=net, train=(x, y), epochs=2, batch_size=16)
"""
PLUGIN = """
from prunesearch.criteria import CriterionInfo, register_score
register_score(CriterionInfo("largest", "max |w|", "a test", weights=False), lambda parts, _: parts[0].weight.abs().amax(1))
"""
HALF: dict[str, Any] = {"epochs": 2, "granularity": "neuron", "threshold": 0.5, "epoch_threshold": 1}


def commands(bundle: Path) -> tuple[str, str]:
    """The command on the card, and its last comment in policy.yaml, without `prunesearch`."""
    found = re.search(r"```bash\nprunesearch (.*)\n```", (bundle / CARD).read_text())
    assert found
    return found[1], (bundle / POLICY).read_text().splitlines()[1].removeprefix("# prunesearch ")


@pytest.mark.usefixtures("plugins_forgotten")
@pytest.mark.parametrize("absolute", [False, True])
def test_the_command_finds_task_and_plug_in_in_files_and_no_path_of_this_machine_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    from prunesearch.cli.main import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(TASK_FILE)
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "p.yaml").write_text(yamlfile.dump({**HALF, "criterion": "largest"}))
    here = f"{tmp_path}/" if absolute else ""
    words = ("--task", f"{here}my_task.py:make_task", "--plugin", f"{here}mine.py", "--device", "cpu")
    assert main(["run", "p.yaml", *words, "--seed", "3", "--to", f"{here}out/bundle", "--format", "json"]) == 0
    first, bundle = json.loads(capsys.readouterr().out), tmp_path / "out" / "bundle"
    told = "run out/bundle/policy.yaml --task my_task.py:make_task --seed 3 --device cpu --plugin mine.py"
    assert commands(bundle) == (told, told)
    assert "In the folder from which `my_task.py` and `mine.py` and `out/bundle` are found" in (bundle / CARD).read_text()
    assert main([*told.split(), "--format", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["accuracy"], again["params"]) == (first["accuracy"], first["params"])
    assert sum(p.numel() for p in ps.load("out/bundle").parameters()) == first["params"]
    assert not [p.name for p in bundle.iterdir() if p.suffix != ".safetensors" and str(tmp_path) in p.read_text()]
    monkeypatch.chdir("/")
    with pytest.raises(TaskError, match=r"no such file here") as caught:
        ps.load(bundle)
    assert "give task=" in str(caught.value.hint)


def about(**fields: Any) -> About:
    measures = Measures(0.9, 10, 10, 10, 40, 0.5, 1.0)
    return About(**{"task": "iris-mlp", "policy": Policy(**HALF), "digest": "d", "seed": 2, "measures": measures, **fields})


TOLD: list[tuple[dict[str, Any], str]] = [
    ({}, "prunesearch run b/policy.yaml --task iris-mlp --seed 2"),
    ({"numerics": "fast"}, "prunesearch run b/policy.yaml --task iris-mlp --seed 2 --numerics fast"),
    ({"plugins": ("unused.py",)}, "prunesearch run b/policy.yaml --task iris-mlp --seed 2"),
    ({"task": "/nowhere/at all/t.py:f"}, "prunesearch run b/policy.yaml --task t.py:f --seed 2"),
    ({"task": "/nowhere/photos/:lenet5@32"}, "prunesearch run b/policy.yaml --task photos/:lenet5@32 --seed 2"),
    ({"own": True, "asked_device": "cpu"}, "ps.run(\"b/policy.yaml\", task=task, seed=2, device='cpu')"),
    ({"task": "own-task"}, 'ps.run("b/policy.yaml", task=task, seed=2)'),
]


@pytest.mark.parametrize(("fields", "told"), TOLD)
def test_how_a_network_is_made_again(fields: dict[str, Any], told: str) -> None:
    assert about(**fields).again("b") == told


def test_a_card_says_which_numerics_and_which_plug_in() -> None:
    assert "bfloat16" not in card(about(), "b", "c")
    assert "* fast numerics: training multiplied in bfloat16" in card(about(numerics="fast"), "b", "c")
    other = Policy.model_construct(None, **{**Policy(**HALF).to_dict(), "criterion": "largest"})
    assert "Criterion `largest` is a plug-in's" in card(about(policy=other), "b", "c")


def test_a_task_that_only_this_process_has_is_to_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(TASK_FILE, scope)
    task = replace(scope["make_task"](), name="iris-mlp")  # whatever it is called
    ran = ps.run(Policy(**HALF), task=task, seed=1, to="bundle")
    told = Path("bundle", CARD).read_text()
    assert "prunesearch run" not in told and "prunesearch run" not in Path("bundle", POLICY).read_text()
    with pytest.raises(TaskError, match="only the process that made 'bundle' had its task") as caught:
        ps.load("bundle")
    assert "give task=" in str(caught.value.hint)
    shown = re.search(r"```python\n(.*)```", told, re.DOTALL)
    assert shown
    names: dict[str, Any] = {"task": task}
    exec(shown[1], names)
    assert names["ran"].measures.accuracy == ran.measures.accuracy
    assert sum(p.numel() for p in names["model"].parameters()) == ran.measures.params
    assert sum(p.numel() for p in ps.load("bundle", task=scope["make_task"]).parameters()) == ran.measures.params


@pytest.mark.parametrize(
    ("ref", "where"),
    [("bundle/x.py:make_task", "."), ("x.py:make_task", "bundle"), ("bundle.x:make_task", "."), ("x:make_task", "bundle")],
)
def test_python_in_a_bundle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str, where: str) -> None:
    monkeypatch.chdir(tmp_path)
    ps.run(Policy(**HALF), task="iris-mlp", to="bundle")
    Path("bundle", "x.py").write_text(f"{TASK_FILE}\nopen({str(tmp_path / 'marker')!r}, 'w')\n")
    described = json.loads(Path("bundle", ARCHITECTURE).read_text())
    Path("bundle", ARCHITECTURE).write_text(json.dumps({**described, "task": ref}))
    monkeypatch.chdir(where)
    with pytest.raises(TaskError, match="names Python of its own") as caught:
        ps.load(tmp_path / "bundle")
    assert "give task=" in str(caught.value.hint)
    assert not (tmp_path / "marker").exists()

"""The Python API and the command line say the same things in the same words."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prunesearch as ps
from prunesearch import api
from prunesearch.api.arguments import ARGUMENTS
from prunesearch.api.naming import named
from prunesearch.cli.app import app
from prunesearch.cli.main import main
from prunesearch.cli.options import SPELLINGS
from prunesearch.errors import InfeasibleError, PolicyError, StudyError, TaskError, UsageError
from prunesearch.policy import Policy
from prunesearch.tasks import Task

ROOT = Path(__file__).resolve().parent.parent
PYTHON_ONLY = {"listener"}
PROGRAM_ONLY = {"format", "quiet", "debug"}
NOT_COMMANDS = {"load"}
CLASSES = ["Front", "FrontRow", "Policy", "PrunesearchError", "PruningSession", "StudySpec", "Task"]


def commands() -> dict[str, Callable[..., Any]]:
    """Every command with the function that Typer calls, `studies list` as `studies`."""
    found = {str(c.name): c.callback for c in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        inner = {str(c.name): c.callback for c in group.typer_instance.registered_commands}
        found |= {f"{group.name}_{name}": call for name, call in inner.items()}
    found["studies"] = found.pop("studies_list")
    return {name: call for name, call in found.items() if call}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_a_function_with_the_same_arguments(name: str) -> None:
    function, call = getattr(ps, name), commands()[name]
    ours, theirs = inspect.signature(function).parameters, inspect.signature(call).parameters
    assert [n for n in ours if n not in PYTHON_ONLY] == [n for n in theirs if n not in PROGRAM_ONLY]
    for argument in set(ours) - PYTHON_ONLY:
        ours_default, theirs_default = ours[argument].default, theirs[argument].default
        assert theirs_default == (list(ours_default) if isinstance(ours_default, tuple) else ours_default), argument


def test_every_function_is_a_command() -> None:
    assert set(api.__all__) - NOT_COMMANDS == set(commands())


def test_what_is_public_is_what_is_listed() -> None:
    assert ps.__all__ == [*CLASSES, *api.__all__]
    assert dir(ps) == sorted(ps.__all__)
    for name in ps.__all__:
        assert getattr(ps, name).__name__ == name


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        ps.serach  # noqa: B018


def test_functions_win_over_packages_of_the_same_name() -> None:
    import prunesearch.dashboard
    import prunesearch.export.bundle
    import prunesearch.search.space  # noqa: F401

    assert [inspect.isfunction(f) for f in (ps.search, ps.front, ps.export, ps.dashboard)] == [True] * 4


def test_every_argument_is_told_once_and_used() -> None:
    used = {n for name in api.__all__ for n in inspect.signature(getattr(api, name)).parameters}
    assert used == set(ARGUMENTS)
    assert set(SPELLINGS) == set(ARGUMENTS) - PYTHON_ONLY | {"bundle"}
    for name in set(api.__all__) - {"version"}:
        text = inspect.getdoc(getattr(api, name)) or ""
        assert all(f"    {n}: {ARGUMENTS[n]}" in text for n in inspect.signature(getattr(api, name)).parameters)


def test_importing_brings_in_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, prunesearch as ps; ps.Policy, ps.Task, ps.Front, ps.studies(), ps.search\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'optuna', 'numpy', 'typer'}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('api') / 'studies.db'}"
    ps.search("quickstart", trials=20, engine="fake", store=url)
    return url


def test_the_three_lines_of_the_readme(rehearsed: str) -> None:
    front = ps.search("quickstart", trials=20, engine="fake", store=rehearsed)
    best = front.where("accuracy >= dense - 0.02", by="params")
    assert front.dense is not None
    assert best.measures.accuracy >= front.dense.accuracy - 0.02
    assert best.measures.params == min(r.measures.params for r in front.where("accuracy >= dense - 0.02"))


def test_both_ways_give_the_same_front(rehearsed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "quickstart", "--store", rehearsed, "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(ps.front("quickstart", store=rehearsed).to_dict()))


def test_a_finished_search_says_so_at_once_and_more_goes_on(rehearsed: str) -> None:
    before = ps.status("quickstart", store=rehearsed)
    ps.search("quickstart", store=rehearsed, engine="fake")
    assert ps.status("quickstart", store=rehearsed).finished == before.finished == 20
    ps.search("quickstart", store=rehearsed, engine="fake", more=3)
    assert ps.status("quickstart", store=rehearsed).finished == 23


def test_a_dry_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(ps.search("quickstart", trials=8, dry_run=True)) > 0
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_flags_win_over_the_study_and_the_study_over_defaults(tmp_path: Path) -> None:
    path, url = tmp_path / "mine.yaml", f"sqlite:///{tmp_path / 's.db'}"
    path.write_text("task: digits-mlp\nepochs: 4\ntrials: 3\nseed: 7\nengine: fake\nsampler: random\n")
    ps.search(path, epochs=5, store=url)
    spec = ps.show("mine", store=url).study.spec
    assert [spec[k] for k in ("epochs", "trials", "seed", "sampler", "task")] == [5, 3, 7, "random", "digits-mlp"]


def test_the_environment_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESEARCH_STORE", f"sqlite:///{tmp_path / 'env.db'}")
    ps.search(task="iris-mlp", trials=2, engine="fake")
    assert ps.status().study == "iris-mlp"
    flagged = f"sqlite:///{tmp_path / 'flag.db'}"
    ps.search(task="moons-mlp", trials=2, engine="fake", store=flagged)
    assert ps.status(store=flagged).study == "moons-mlp"
    assert ps.status().study == "iris-mlp"


def test_another_name_for_another_definition(rehearsed: str) -> None:
    with pytest.raises(StudyError, match="seed: was 0, is now 5"):
        ps.search("quickstart", seed=5, engine="fake", store=rehearsed)
    ps.search("quickstart", seed=5, trials=4, engine="fake", store=rehearsed, as_="other")
    assert {line.name for line in ps.studies(store=rehearsed) if line.where == "stored"} == {"quickstart", "other"}


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: ps.search(), UsageError, "nothing to search"),
        (lambda: ps.search("quikstart"), StudyError, "quikstart"),
        (lambda: ps.search("quickstart", workers="many"), UsageError, "workers"),
        (lambda: ps.search("quickstart", stage_budget=float("inf")), UsageError, "stage-budget"),
        (lambda: ps.search("quickstart", timeout=float("inf")), StudyError, "timeout: must be a finite number"),
        (lambda: ps.groups(), UsageError, "no network"),
        (lambda: ps.run("nothing.yaml", task="iris-mlp"), PolicyError, "nothing.yaml"),
        (lambda: ps.run(Policy(epochs=1), task="iris-mpl"), TaskError, "iris-mpl"),
        (lambda: ps.load("nowhere"), UsageError, "not a bundle"),
    ],
)
def test_wrong_calls(
    call: Callable[[], Any], error: type[Exception], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_function_of_a_file_is_named_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def make_task():\n    return None\n")
    scope: dict[str, Any] = {}
    exec(compile((tmp_path / "mine.py").read_text(), str(tmp_path / "mine.py"), "exec"), scope)
    assert named(scope["make_task"]) == ("mine.py:make_task", None)
    assert named("digits-mlp") == ("digits-mlp", None)
    task = Task(model=dict, train=([0.0], [0]), name="own")  # type: ignore[arg-type]
    assert named(task) == ("own", task)
    assert named(lambda: task) == ("own", task)
    with pytest.raises(TaskError, match="returned int"):
        named(lambda: 3)  # type: ignore[arg-type, return-value]


def test_python_and_program_agree_on_nothing_feasible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, url = tmp_path / "hard.yaml", f"sqlite:///{tmp_path / 's.db'}"
    path.write_text('task: digits-mlp\ntrials: 4\nengine: fake\nconstraints: {accuracy: ">= 2"}\n')
    with pytest.raises(InfeasibleError, match="none of 4 trials is feasible"):
        ps.search(path, store=url)
    assert main(["search", str(path), "--store", url]) == 5
    assert "none of 4 trials is feasible" in capsys.readouterr().err


def test_a_task_object_is_searched_and_run_in_this_process(tmp_path: Path) -> None:
    import torch

    x, y = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 3
    x[:, 0] += 3.0 * y  # so that there is something to learn

    def net() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))

    task = Task(model=net, train=(x, y), epochs=4, batch_size=16, lr=1e-2, name="mine")
    url = f"sqlite:///{tmp_path / 's.db'}"
    front = ps.search(task=task, trials=3, store=url)
    assert ps.status(store=url).task == "mine"
    assert ps.status(store=url).finished == 3
    assert len(front) >= 1
    again = ps.run(front[0].policy, task=task)
    assert again.measures.accuracy == front[0].measures.accuracy


def test_a_run_leaves_decoded_data_behind_and_finds_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESEARCH_HOME", str(tmp_path))
    policy = Policy(epochs=2, epoch_threshold=1)
    first = ps.run(policy, task="digits-mlp")
    kept = {p.name: p.read_bytes() for p in (tmp_path / "arrays").glob("*.safetensors")}
    assert kept
    assert ps.run(policy, task="digits-mlp").measures.accuracy == first.measures.accuracy
    assert {p.name: p.read_bytes() for p in (tmp_path / "arrays").glob("*.safetensors")} == kept


def test_means_over_seeds_stand_beside_the_means_of_as_many_dense_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = ps.run(Policy(epochs=1, threshold=0.5), task="digits-mlp", seeds=2)
    each = [reference.measures.accuracy for reference in ran.references]
    curve = ps.curve("digits-mlp", levels=[0.5], epochs=1, seeds=2, engine="serial")
    assert each == [result.measures.accuracy for result in curve.sweep.dense.values() if result.measures]
    assert len(set(each)) == 2
    assert ran.dense.measures.accuracy == pytest.approx(sum(each) / 2)
    assert [row["dense"]["accuracy"] for row in ran.to_dict()["seeds"]] == each

"""Bad input: the right exit code, words with a hint, no traceback, and a store that is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

SPACE = "task: iris-mlp\nepochs: 3\ntrials: 2\nengine: serial\nlatency: {rounds: 3}\n"
TASK = """
import torch
import prunesearch as ps
x, y = torch.randn(60, 4), torch.arange(60).fmod(3)
def make_task() -> ps.Task:
    layers = (torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, %s))
    return ps.Task(model=lambda: torch.nn.Sequential(*layers), train=(x, y), epochs=1)
"""

FILES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    # name: (study file, exit code, what is said)
    "empty": ("", 3, ("an empty file",)),
    "no mapping": ("- a\n- b\n", 3, ("expected fields",)),
    "python tag": ("task: !!python/name:os.system\n", 3, ("tag",)),
    "key twice": ("task: iris-mlp\ntask: moons-mlp\n", 3, ("task",)),
    "typo": (f"{SPACE}trails: 3\n", 3, ("trails: unknown field", "did you mean 'trials'?")),
    "three errors": (
        "task: iris-mlp\ntrials: 0\nsampler: tpee\nspace: {criterion: [l3]}\n",
        3,
        ("trials: must be greater than or equal to 1, got 0", "sampler", "space.criterion: 'l3' is unknown"),
    ),
    "ratio above 1": (f"{SPACE}space: {{scope: ratios, ratio: {{default: [0.0, 1.2]}}}}\n", 3, ("space.ratio.default", "1.2")),
    "unknown group": (f"{SPACE}space: {{scope: ratios, ratio: {{fcx1: 0.5}}}}\n", 3, ("fcx1", "fc1")),
    "beyond the epochs": (
        f"{SPACE}start: [{{function: gradual, epoch_threshold: 2, converge_over: 5}}]\n",
        3,
        ("start[0]", "epoch_threshold + converge_over = 7 lies beyond the 3 epochs"),
    ),
    "an objective twice": (f"{SPACE}objectives: [params, params]\n", 3, ("objectives",)),
    "a constraint of no measure": (f"{SPACE}constraints: {{size: '<= 3'}}\n", 3, ("constraints.size",)),
    "a wrong constraint": (f"{SPACE}constraints: {{params: 'small'}}\n", 3, ("constraints.params", "<= 50000")),
    "missing data": ("task: mnist-lenet300\nengine: serial\ntrials: 1\n", 6, ("MNIST",)),
    "syntax error": ("task: broken.py:make_task\nengine: serial\n", 3, ("broken.py", "line 1")),
    "no function": ("task: good.py:make_tusk\nengine: serial\n", 3, ("make_tusk", "did you mean 'make_task'?")),
    "wrong shape": ("task: narrow.py:make_task\nengine: serial\n", 3, ("has 2 outputs per example, the targets have 3 classes",)),
    "no such file": ("task: nowhere.py:make_task\nengine: serial\n", 3, ("nowhere.py",)),
    "no finite number": (f"{SPACE}timeout: .inf\n", 3, ("timeout: must be a finite number",)),
    "a date that there is not": (f"{SPACE}description: 2026-02-30\n", 3, ("bad.yaml: a value cannot be read: ", "quotes")),
    "nested too deeply": (f"task: {'[' * 500}{']' * 500}\n", 3, ("bad.yaml: is nested too deeply",)),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNESEARCH_DOWNLOAD", "0")
    (tmp_path / "broken.py").write_text("def make_task(:\n")
    (tmp_path / "good.py").write_text(TASK % 3)
    (tmp_path / "narrow.py").write_text(TASK % 2)
    (tmp_path / "ill.py").write_text(f"{TASK % 3}\nx[3:] = float('nan')\n")
    return tmp_path


@pytest.mark.parametrize("command", ["search", "check"])
@pytest.mark.parametrize("name", FILES)
def test_bad_study_files(run: Run, folder: Path, url: str, name: str, command: str) -> None:
    text, code, told = FILES[name]
    (folder / "bad.yaml").write_text(text)
    before = run("studies", "--store", url, "--format", "csv").out
    ran = run(command, "bad.yaml", "--store", url)
    assert ran.code == code, ran.err
    assert ran.out == ""
    for words in (*told, "error: ", "hint: "):
        assert words in ran.err
    assert "Traceback" not in ran.err
    assert run("studies", "--store", url, "--format", "csv").out == before


POLICIES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "empty": ("", 3, ("an empty file",)),
    "ratio above 1": ("epochs: 3\nscope: ratios\nratio: {default: 1.5}\n", 3, ("ratio.default", "1.5")),
    "unknown group": ("epochs: 3\nscope: ratios\nratio: {fcx1: 0.5}\n", 3, ("'fcx1' matches no group", "did you mean 'fc1'?")),
    "unknown spared group": ("epochs: 3\nspare: [conv*]\n", 3, ("'conv*' matches no group",)),
    "nothing of the kind": ("epochs: 3\ngranularity: filter\n", 3, ("'filter' is nothing that iris-mlp has", "weight, neuron")),
    "beyond the epochs": ("epochs: 3\nfunction: gradual\nepoch_threshold: 2\nconverge_over: 5\n", 3, ("beyond the 3 epochs",)),
    "three errors": (
        "epochs: 3\nthreshold: 1.5\ncriterion: l3\nramp: cubic\n",
        3,
        ("threshold: must be less than 1", "criterion: 'l3' is unknown", "ramp: not used"),
    ),
    "everything goes": (
        "epochs: 1\nschedule_type: magnitude_threshold\nweight_threshold: 1000\n",
        5,
        ("without a usable network", "prune less"),
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_bad_policies(run: Run, folder: Path, name: str) -> None:
    text, code, told = POLICIES[name]
    (folder / "policy.yaml").write_text(text)
    ran = run("run", "policy.yaml", "--task", "iris-mlp", "--to", "bundle")
    assert ran.code == code, ran.err
    assert ran.out == ""
    for words in (*told, "hint: "):
        assert words in ran.err
    assert "Traceback" not in ran.err
    assert not (folder / "bundle").exists()


def test_check_refuses_data_that_are_no_numbers(run: Run, folder: Path) -> None:
    ran = run("check", "--task", "ill.py:make_task", "--device", "cpu")
    assert (ran.code, ran.out) == (3, "")
    assert "the training loss became nan within 2 batches (learning rate 0.001)" in ran.err
    assert "hint: look for NaN" in ran.err


def test_a_policy_that_is_no_text(run: Run, folder: Path) -> None:
    (folder / "policy.yaml").write_bytes(b"\x89PNG\r\n\x1a\n")
    ran = run("run", "policy.yaml", "--task", "iris-mlp")
    assert (ran.code, ran.out) == (3, "")
    assert "policy.yaml: is not a text file" in ran.err
    assert "in UTF-8" in ran.err


STORES = {
    "in no folder": ("sqlite:////nowhere/at/all.db", "no folder"),
    "not writable": ("sqlite:////proc/prunesearch.db", "unable to open"),
    "a folder": ("sqlite:///.", "is a folder"),
    "in memory": ("sqlite://", "in memory"),
    "no database": ("sqlite:///good.py", "good.py"),
    "nobody there": ("postgresql://me:secret@127.0.0.1:1/studies", "127.0.0.1"),
}


@pytest.mark.parametrize("name", STORES)
def test_stores_that_cannot_be_written(run: Run, folder: Path, name: str) -> None:
    store, told = STORES[name]
    before = (folder / "good.py").read_bytes()
    ran = run("search", "quickstart", "--engine", "fake", "--store", store)
    assert ran.code == 4, ran.err
    assert told in ran.err
    assert "hint: " in ran.err
    assert "Traceback" not in ran.err
    assert "secret" not in ran.err
    assert (folder / "good.py").read_bytes() == before


def test_a_dense_network_that_cannot_be_trained_ends_with_the_reason(run: Run, folder: Path) -> None:
    (folder / "nan.py").write_text((TASK % 3).replace("epochs=1", "epochs=1, loss=lambda o, t: o.sum() * float('nan')"))
    ran = run("search", "--task", "nan.py:make_task", "--trials", "2", "--engine", "serial")
    assert ran.code in (3, 6)
    assert "nan" in ran.err
    assert "hint: " in ran.err
    assert "Traceback" not in ran.err


ENDLESS = [
    ("search", "--stage-budget", "inf"),
    ("search", "--timeout", "inf"),
    ("check", "--timeout", "inf"),
    ("animate", "--fps", "inf"),
]


@pytest.mark.parametrize(("command", "flag", "value"), ENDLESS)
def test_numbers_that_are_not_finite(run: Run, folder: Path, command: str, flag: str, value: str) -> None:
    ran = run(command, flag, value)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert f"'{flag}': {value} is not a finite number" in ran.err
    assert "hint: " in ran.err

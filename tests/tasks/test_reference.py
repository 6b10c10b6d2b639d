"""What a reference means, and that importing it needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prunesearch.errors import TaskError
from prunesearch.tasks import builtin_tasks, load_task
from prunesearch.tasks.reference import Reference, parse_reference

MEANT = {
    "digits-mlp": Reference("builtin", "digits", "mlp"),
    "cifar10-resnet56": Reference("builtin", "cifar10", "resnet56"),
    "cifar10-torchvision.resnet18": Reference("builtin", "cifar10", "torchvision.resnet18"),
    "my_task.py:make_task": Reference("python", "my_task.py", "make_task"),
    "sub/my-task.py:f": Reference("python", "sub/my-task.py", "f"),
    "package.module:make": Reference("python", "package.module", "make"),
    "arrays.npz": Reference("arrays", "arrays.npz", "mlp"),
    "a/b.npz:mlp-64-32": Reference("arrays", "a/b.npz", "mlp-64-32"),
    "photos/": Reference("folder", "photos/", "torchvision.resnet18"),
    "photos/:torchvision.vgg11_bn@96": Reference("folder", "photos/", "torchvision.vgg11_bn", 96),
}


@pytest.mark.parametrize("ref", MEANT)
def test_a_reference_is_taken_apart(ref: str) -> None:
    assert parse_reference(ref) == MEANT[ref]


def test_a_folder_that_exists_needs_no_slash(tmp_path: Path) -> None:
    assert parse_reference(f"{tmp_path}:vgg16@32") == Reference("folder", str(tmp_path), "vgg16", 32)


@pytest.mark.parametrize(
    ("ref", "told", "hint"),
    [
        ("digits-mpl", "'digits-mpl' is unknown", "did you mean 'digits-mlp'"),
        ("", "'' is unknown", "known: "),
        ("my_task.py", "names no function", "my_task.py:make_task"),
        ("my_task.py:1x", "names no function", "my_task.py:make_task"),
        ("photos/:resnet20@0", "'@0' is not a number of pixels", "@96"),
        ("photos/:resnet20@big", "'@big' is not a number of pixels", "@96"),
        ("imagenet-torchvision.resnet18", "is unknown", ""),
    ],
)
def test_what_means_nothing_is_told_with_a_way_out(ref: str, told: str, hint: str) -> None:
    with pytest.raises(TaskError, match=told) as error:
        parse_reference(ref)
    assert hint in (error.value.hint or "")


def test_all_named_data_sets_have_their_networks() -> None:
    images = {f"{data}-{net}" for data in ("mnist", "fashion") for net in ("lenet300", "lenet5", "cnn84", "mlp32", "mlp1000")}
    cifar = {f"cifar10-{net}" for net in ("resnet20", "resnet56", "vgg16")}
    small = {"digits-mlp", "digits-cnn", "iris-mlp", "moons-mlp", "circles-mlp"}
    assert set(builtin_tasks()) == images | cifar | small


def test_tasks_can_be_listed_without_torch() -> None:
    code = "import sys, prunesearch.tasks as t; t.builtin_tasks(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_built_in_task_bears_its_reference_as_name() -> None:
    assert load_task("iris-mlp").name == "iris-mlp"

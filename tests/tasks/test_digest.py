"""The digest changes with everything on which results depend, and with nothing else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunesearch.models import mlp
from prunesearch.tasks import Task
from prunesearch.tasks.digest import fingerprint
from prunesearch.training.prepare import prepare

CPU = torch.device("cpu")
X, Y = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2


def net() -> torch.nn.Module:
    return mlp((3, 4, 2))


def wider() -> torch.nn.Module:
    return mlp((3, 5, 2))


def with_tanh() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def with_relu() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


TASK = Task(model=with_relu, train=(X, Y), test=(X, Y), name="t")


def digest(task: Task, ref: str = "t", seed: int = 0) -> str:
    return prepare(task, ref, seed=seed, device=CPU).info.digest


def test_equal_tasks_have_equal_digests() -> None:
    assert digest(TASK) == digest(replace(TASK, train=(X.clone(), Y.clone()), name="other"))


def test_initial_values_count_even_where_nothing_else_differs() -> None:
    scale = {"by": 1.0}

    def scaled() -> torch.nn.Module:
        model = with_relu()
        with torch.no_grad():
            model.get_parameter("0.weight").mul_(scale["by"])
        return model

    first = digest(replace(TASK, model=scaled))
    scale["by"] = 2.0
    assert first != digest(replace(TASK, model=scaled))


CHANGES: list[dict[str, Any]] = [
    {"model": wider},
    {"model": with_tanh},
    {"train": (X + 1e-6 * (torch.arange(40) == 39).unsqueeze(1), Y)},
    {"train": (X, Y.flip(0))},
    {"test": (X[:39], Y[:39])},
    {"lr": 2e-3},
    {"lr_schedule": "cosine"},
    {"weight_decay": 1e-4},
    {"batch_size": 64},
    {"val_fraction": 0.2},
    {"optimizer": "sgd"},
    {"optimizer": torch.optim.Adam},
    {"version": "2"},
]


def test_every_change_of_task_or_seed_changes_the_digest() -> None:
    found = [digest(TASK), digest(TASK, seed=1), *(digest(replace(TASK, **change)) for change in CHANGES)]
    assert len(set(found)) == len(found)


def test_the_users_source_counts_unless_a_version_stands_for_it(tmp_path: Path) -> None:
    file = tmp_path / "my_task.py"
    file.write_text("")
    ref = f"{file}:make_task"
    plain, versioned = digest(TASK, ref), digest(replace(TASK, version="1"), ref)
    file.write_text("# changed")
    assert digest(TASK, ref) != plain
    assert digest(replace(TASK, version="1"), ref) == versioned


RATE = 0.1


class Scaled:
    """A loss with a setting, and with what cannot be read where one is asked for."""

    def __init__(self, by: float, held: Any = None) -> None:
        self.by, self.held = by, held

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.by * functional.cross_entropy(outputs, targets)


def descent(parameters: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr)


def with_default(by: float) -> Any:
    def loss(outputs: torch.Tensor, targets: torch.Tensor, by: float = by) -> torch.Tensor:
        return by * functional.cross_entropy(outputs, targets)

    return loss


class Net(torch.nn.Module):
    """What its forward pass does to its outputs shows in no tensor and no structure."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.layer, self.by = torch.nn.Linear(3, 2), by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x) * self.by
        return out


HELD: dict[str, Callable[[float], dict[str, Any]]] = {
    "a loss's setting": lambda v: {"loss": torch.nn.CrossEntropyLoss(label_smoothing=v)},
    "a loss's tensor": lambda v: {"loss": torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, v]))},
    "an instance": lambda v: {"loss": Scaled(v)},
    "a bound method": lambda v: {"loss": Scaled(v).__call__},
    "a closure": lambda v: {"optimizer": lambda parameters: descent(parameters, v)},
    "a closure's dictionary": lambda v: {"optimizer": lambda parameters, settings={"lr": v}: descent(parameters, **settings)},
    "a partial's argument": lambda v: {"optimizer": partial(descent, lr=v)},
    "a partial's instance": lambda v: {"loss": partial(Scaled(v))},
    "a default": lambda v: {"loss": with_default(v)},
    "a factory's closure": lambda v: {"model": lambda: Net(v)},
}


@pytest.mark.parametrize("what", HELD)
def test_what_callables_hold_counts(what: str) -> None:
    one, same, other = (digest(replace(TASK, **HELD[what](value))) for value in (0.1, 0.1, 0.2))
    assert one == same != other


def test_globals_that_a_function_names_count_unless_a_version_stands_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(TASK, optimizer=lambda parameters: descent(parameters, RATE))
    versioned = replace(task, version="1")
    before = digest(task), digest(versioned)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 0.2)
    assert digest(task) != before[0]
    assert digest(versioned) == before[1]


def test_code_of_classes_that_a_function_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(TASK, model=lambda: Net(0.5))
    before = digest(task)
    monkeypatch.setattr(Net, "forward", lambda self, x: self.layer(x) + self.by)
    assert digest(task) != before


def test_functions_that_name_each_other_are_read_once() -> None:
    space: dict[str, Any] = {"f0": len}
    for i in range(1, 60):
        exec(f"def f{i}(x): return f{i - 1}(x) + f{i - 1}(x) + f{i}(x)", space)  # without source, as at a prompt
    task = replace(TASK, loss=Scaled(0.1, space["f59"]))
    before = digest(task)
    assert digest(task) == before
    space["f0"] = sum
    assert digest(task) != before


def test_what_cannot_be_read_is_known_not_to_be(tmp_path: Path) -> None:
    def known(task: Task, ref: str = "t") -> bool:
        return prepare(task, ref, seed=0, device=CPU).known

    file = tmp_path / "my_task.py"
    file.write_text("")
    locked = replace(TASK, loss=Scaled(0.1, threading.Lock()))
    assert known(TASK) and known(replace(TASK, loss=Scaled(0.1, {"a", "b"})))
    assert not known(locked)
    assert known(replace(locked, version="1")) and known(locked, f"{file}:make_task")
    assert digest(locked) == digest(replace(locked, loss=Scaled(0.1, threading.Lock())))


class Squares(Dataset[Any]):
    def __init__(self, count: int, power: int = 2) -> None:
        self._count, self._power = count, power

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor([float(index) ** self._power]), index % 2


def test_fingerprints_of_data_sets_read_examples_and_of_loaders_lengths() -> None:
    assert fingerprint(Squares(10)) == fingerprint(Squares(10))
    assert len({fingerprint(Squares(10)), fingerprint(Squares(11)), fingerprint(Squares(10, 3))}) == 3
    loaders = [lambda size=size: DataLoader(TensorDataset(X, Y), batch_size=size) for size in (4, 5)]
    assert fingerprint(loaders[0]) == fingerprint(loaders[0]) != fingerprint(loaders[1])

"""The digest changes with everything on which results depend, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
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

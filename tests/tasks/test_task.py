"""`Task` says everything that is wrong with it, at once and in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunesearch.errors import TaskError
from prunesearch.models import mlp
from prunesearch.tasks import Task
from prunesearch.tasks.task import LOSSES, LR_SCHEDULES, METRICS, OPTIMIZERS

X, Y = torch.zeros(8, 3), torch.zeros(8, dtype=torch.int64)
DATA = TensorDataset(X, Y)


class NoLength(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return X[index], Y[index]


def net() -> nn.Module:
    return mlp((3, 2))


def task(**fields: Any) -> Task:
    return Task(**{"model": net, "train": (X, Y), **fields})


def loader() -> DataLoader[Any]:
    return DataLoader(DATA)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": net()}, "model: must be a function that makes a network, got a network"),
    ({"model": 3}, "model: must be a function that makes a network, got int 3"),
    ({"train": (X,)}, "train: a pair"),
    ({"train": (X, Y, Y)}, "train: a pair .inputs, targets. is needed, got 3 parts"),
    ({"train": "mnist"}, "train: must be .inputs, targets., a Dataset or a .. -> DataLoader, got str 'mnist'"),
    ({"train": loader}, "val: must be given where train is a .. -> DataLoader"),
    ({"weights": net().state_dict()}, "val: must be given with weights"),
    ({"optimizer": "adma"}, "optimizer: 'adma' is unknown; did you mean 'adam"),
    ({"loss": "crossentropy"}, "loss: 'crossentropy' is unknown; did you mean 'cross_entropy'"),
    ({"metric": 3}, "metric: must be one of accuracy"),
    ({"lr_schedule": lambda s: s}, "lr_schedule: must be one of constant"),
    ({"direction": "up"}, "direction: must be 'maximize' or 'minimize', got 'up'"),
    ({"augment": ("flop",)}, "augment: 'flop' is unknown; did you mean 'flip'"),
    ({"augment": "flip"}, "augment: must be a function or a tuple of crop, shift, flip, got str 'flip'"),
    ({"epochs": -1}, "epochs: must be at least 0, got -1"),
    ({"epochs": 2.5}, "epochs: must be a whole number, got float 2.5"),
    ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
    ({"lr": 0}, "lr: must be at least 1e-12 and at most 1000, got 0"),
    ({"lr": "1e-3"}, "lr: must be a number, got str '1e-3'"),
    ({"lr": float("nan")}, "lr: must be at least"),
    ({"val_fraction": 1.0}, "val_fraction: must be at least 0.0001 and at most 0.9, got 1.0"),
    ({"classes": -1}, "classes: must be 0 or more"),
    ({"train_epoch": 1}, "train_epoch: must be a function or None"),
    ({"train": NoLength()}, "train: a Dataset needs a length"),
    (
        {"normalize": (0.1307, 0.3081)},
        r"normalize: must be \(\(mean, .* got tuple \(0.1307, 0.3081\)",
    ),
    ({"normalize": ((0.5,),)}, "normalize: must be"),
    ({"normalize": (("a",), ("b",))}, "normalize: must be"),
    ({"normalize": ((), ())}, "normalize: needs finite means and deviations above 0"),
    ({"normalize": ((0.5,), (0.0,))}, "normalize: needs finite means and deviations above 0"),
    ({"example": np.zeros((2, 3))}, "example: must be a tensor, one batch of inputs, got ndarray"),
    ({"example": torch.zeros(())}, "example: must be a batch of at least one input"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG, ids=[told[:30] for _, told in WRONG])
def test_a_wrong_field_is_told_in_words(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(TaskError, match=told):
        task(**fields)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(TaskError) as error:
        Task(model=net, train=(X, Y), epochs=-1, lr=-1, loss="x", metric="y")
    assert error.value.message.count("\n  - ") == 4


def test_a_task_is_frozen() -> None:
    made = task()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("fields", [{"train": DATA}, {"train": loader, "val": DATA}, {"optimizer": torch.optim.Adam}])
def test_every_kind_of_part_is_taken(fields: dict[str, Any]) -> None:
    task(**fields)


@pytest.mark.parametrize("field", ["optimizer", "loss", "metric", "lr_schedule"])
def test_every_word_of_the_tables_is_taken(field: str) -> None:
    tables = {"optimizer": OPTIMIZERS, "loss": LOSSES, "metric": METRICS, "lr_schedule": LR_SCHEDULES}
    for word in tables[field]:
        task(**{field: word})


@pytest.mark.parametrize(
    ("metric", "direction", "goal"),
    [("accuracy", None, "maximize"), ("mse", None, "minimize"), ("mse", "maximize", "maximize"), (max, None, "maximize")],
)
def test_the_direction_follows_the_metric_unless_given(metric: Any, direction: Any, goal: str) -> None:
    assert Task(model=net, train=(X, Y), metric=metric, direction=direction).goal == goal

"""Training, validation and test share no example, keep the classes' shares, and follow the seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunesearch.errors import TaskError
from prunesearch.models import mlp
from prunesearch.tasks import Task
from prunesearch.training.data import Handling, Resident, Streamed
from prunesearch.training.splits import make_splits, raw_splits

HOW = Handling(8, torch.device("cpu"))


def pair(count: int = 100, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(count).float().unsqueeze(1), torch.arange(count) % classes


def task(**fields: Any) -> Task:
    return Task(**{"model": lambda: mlp((1, 4)), "train": pair(), **fields})


def members(source: Any) -> set[float]:
    return {float(x) for x in source[0].flatten()} if isinstance(source, tuple) else {float(x) for x, _ in source}


class Labelled(Dataset[Any]):
    def __init__(self, count: int) -> None:
        self.labels = [i % 4 for i in range(count)]
        self.targets: Any = self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor([float(index)]), self.labels[index]


@pytest.mark.parametrize("train", [pair(), TensorDataset(*pair()), Labelled(100)], ids=["tensors", "TensorDataset", "Dataset"])
def test_three_splits_share_nothing_and_lose_nothing(train: Any) -> None:
    parts = raw_splits(task(train=train), seed=0)
    sets = [members(parts[name]) for name in ("train", "val", "test")]
    assert [len(s) for s in sets] == [72, 8, 20]
    assert set.union(*sets) == {float(i) for i in range(100)}


@given(count=st.integers(40, 300), classes=st.integers(2, 5), fraction=st.floats(0.1, 0.5), seed=st.integers(0, 9))
def test_splits_are_stratified(count: int, classes: int, fraction: float, seed: int) -> None:
    parts = raw_splits(task(train=pair(count, classes), test=pair(4), val_fraction=fraction), seed)
    kept, held = (torch.bincount(parts[name][1], minlength=classes).double() for name in ("train", "val"))  # type: ignore[index]
    assume(held.sum() >= classes)  # fewer examples than classes cannot be stratified
    wanted = (kept + held) * float(held.sum() / count)
    assert float((held - wanted).abs().max()) <= 1.0


def test_the_split_follows_the_seed_and_nothing_else() -> None:
    first, again, other = (members(raw_splits(task(test=pair(4)), seed)["val"]) for seed in (0, 0, 1))
    assert first == again != other


def test_given_splits_are_left_alone() -> None:
    parts = raw_splits(task(val=pair(12), test=pair(8)), seed=0)
    assert [len(members(parts[name])) for name in ("train", "val", "test")] == [100, 12, 8]


def test_with_given_weights_no_test_split_is_made_of_data_they_were_trained_on() -> None:
    weights = mlp((1, 4)).state_dict()
    assert set(raw_splits(task(val=pair(12), weights=weights), seed=0)) == {"train", "val"}


@pytest.mark.parametrize(
    "labels",
    [torch.rand(100), torch.arange(100), torch.cat([torch.zeros(99).long(), torch.ones(1).long()]), torch.rand(100, 2)],
    ids=["regression", "a class per example", "a class of one", "two targets"],
)
def test_what_cannot_be_stratified_is_split_at_random(labels: torch.Tensor) -> None:
    parts = raw_splits(task(train=(pair()[0], labels), test=pair(4)), seed=0)
    assert [len(members(parts[name])) for name in ("train", "val")] == [90, 10]


@pytest.mark.parametrize(
    "targets",
    [["a.png"] * 100, [{}] * 100, None, [0, 1] * 30, [[0, 1]] * 100],
    ids=["paths", "records", "None", "too few", "pairs"],
)
def test_a_data_set_whose_targets_are_no_classes_is_split_at_random(targets: Any) -> None:
    data = Labelled(100)
    data.targets = targets
    parts = raw_splits(task(train=data, test=pair(4)), seed=0)
    assert [len(members(parts[name])) for name in ("train", "val")] == [90, 10]


def test_numpy_arrays_are_taken() -> None:
    x, y = pair()
    assert raw_splits(task(train=(x.numpy(), y.numpy())), 0).keys() == {"train", "val", "test"}


def test_data_that_does_not_fit_is_told() -> None:
    x, y = pair()
    with pytest.raises(TaskError, match=r"train: inputs \(100, 1\) and targets \(99,\)"):
        raw_splits(task(train=(x, y[:99])), 0)
    with pytest.raises(TaskError, match="too few"):
        raw_splits(task(train=(x[:1], y[:1])), 0)
    with pytest.raises(TaskError, match="augment: flip need images"):
        make_splits(raw_splits(task(), 0), Handling(8, torch.device("cpu"), augment=("flip",)))
    with pytest.raises(TaskError, match="augment: works on tensors"):
        make_splits(raw_splits(task(train=Labelled(40)), 0), Handling(8, torch.device("cpu"), augment=("flip",)))


PER_CHANNEL = replace(HOW, normalize=((0.5, 0.4), (0.1, 0.2)))


def inputs(shape: tuple[int, ...]) -> dict[str, Any]:
    return dict.fromkeys(("train", "val"), (torch.rand(shape), torch.arange(8)))


@pytest.mark.parametrize("shape", [(8, 2), (8, 2, 4, 4)])
def test_constants_are_those_of_features_and_of_channels_of_images(shape: tuple[int, ...]) -> None:
    made = make_splits(inputs(shape), PER_CHANNEL)
    assert made.sizes == (8, 8, 0)


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 2, 2), (8, 2, 9), (8, 9, 2)])
def test_constants_that_belong_to_no_dimension_are_told(shape: tuple[int, ...]) -> None:
    make_splits(inputs(shape), replace(HOW, normalize=((0.5,), (0.1,))))
    with pytest.raises(TaskError, match=r"normalize: takes one number.*, for train is"):
        make_splits(inputs(shape), PER_CHANNEL)


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_constants_for_what_is_not_resident_are_told(name: str) -> None:
    sources = raw_splits(task(**{"val": pair(8), "test": pair(8), name: Labelled(8)}), 0)
    with pytest.raises(TaskError, match="normalize: works on tensors"):
        make_splits(sources, replace(HOW, normalize=((0.5,), (0.1,))))


def test_tensors_stay_resident_and_the_rest_is_streamed() -> None:
    made = make_splits(raw_splits(task(val=Labelled(9), test=lambda: DataLoader(Labelled(7), batch_size=2)), 0), HOW)
    assert isinstance(made.train, Resident) and isinstance(made.val, Streamed) and isinstance(made.test, Streamed)
    assert made.sizes == (100, 9, 7)


def test_only_training_is_shuffled_and_a_last_batch_of_one_dropped() -> None:
    made = make_splits(raw_splits(task(train=Labelled(17), val=Labelled(17), test=pair(4)), 0), HOW)
    assert [len(y) for _, y in made.train.shuffled(0, 0)] == [8, 8]
    assert [float(x) for batch, _ in made.val.ordered() for x in batch] == [float(i) for i in range(17)]

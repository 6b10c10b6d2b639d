"""Before any trial: data that cannot be read is told in words, and it is known what a constant answer is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.models import mlp
from prunesearch.training.optimizers import make_optimizer
from prunesearch.training.prepare import Prepared, prepare
from tests.trial.blobs import blobs, job, make_runner, make_task, policy


def prepared(**fields: Any) -> Prepared:
    return prepare(make_task(**fields), "blobs", seed=0, device=torch.device("cpu"))


class Items(Dataset[Any]):
    """Gives what it was given; an error is raised."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        if isinstance(self._items[index], Exception):
            raise self._items[index]
        return self._items[index]


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.mark.parametrize(("said", "wanted"), [({}, True), ({"channels_last": False}, False)])
def test_convolutions_train_in_channels_last_unless_told_otherwise(said: dict[str, Any], wanted: bool) -> None:
    x, y = torch.rand(30, 3, 8, 8), torch.arange(30) % 3
    data = {"train": (x, y), "val": (x, y), "test": (x, y)}
    made = prepared(model=conv, **data, **said)
    weight, inputs = next(made.fresh(0).parameters()), next(iter(made.splits.train.shuffled(0, 0)))[0]
    assert made.channels_last is wanted
    assert [t.is_contiguous(memory_format=torch.channels_last) for t in (weight, inputs)] == [wanted, wanted]
    assert prepared().channels_last is False


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adagrad"])
def test_optimisers_that_can_be_fused_are(name: str) -> None:
    task = make_task(optimizer=name)
    assert make_optimizer(task, task.model()).defaults["fused"] is True


def nothing() -> DataLoader[Any]:
    return DataLoader(TensorDataset(*blobs(8)), batch_size=32, drop_last=True)


def broken() -> DataLoader[Any]:
    raise OSError("no such disk")


GOOD = [(torch.zeros(3), 0), (torch.ones(3), 1)] * 40
UNREADABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a data set that raises": ({"val": Items([ValueError("no row")] * 4)}, "val: reading it fails: ValueError: no row"),
    "one that raises later": ({"test": Items([*GOOD, KeyError("x")])}, "test: reading it fails: KeyError: 'x'"),
    "images that are no tensors": (
        {"train": Items([(Image.new("L", (4, 4)), 0)] * 9)},
        "train: reading it fails: TypeError",
    ),
    "rows of two lengths": (
        {"val": Items([(torch.zeros(3), 0), (torch.zeros(4), 1)])},
        "val: reading it fails: RuntimeError",
    ),
    "a loader without a batch": ({"val": nothing}, "val: gives no batch"),
    "another without a batch": ({"test": nothing}, "test: gives no batch"),
    "a loader that cannot be made": ({"test": broken}, "test: making the loader fails: OSError: no such disk"),
    "words": ({"train": (np.array(["a", "b"]), np.zeros(2, int))}, "train: inputs cannot be made a tensor: TypeError"),
    "objects": ({"val": (np.zeros((2, 3)), np.array([{}, {}]))}, "val: targets cannot be made a tensor: TypeError"),
    "constants that are two numbers": ({"normalize": (0.1307, 0.3081)}, r"normalize: must be \(\(mean"),
    "an example that is no tensor": ({"example": np.zeros((2, 3))}, "example: must be a tensor"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_data_that_cannot_be_read_is_told(name: str) -> None:
    fields, told = UNREADABLE[name]
    with pytest.raises(TaskError, match=told) as error:
        prepared(**fields)
    assert error.value.hint


def test_memory_that_runs_out_is_no_fault_of_the_data() -> None:
    with pytest.raises(EnvironmentFailure, match="val: reading it fails: out of memory"):
        prepared(val=Items([MemoryError()] * 4))


def test_whole_numbers_that_a_network_does_not_take_are_told_with_the_remedy() -> None:
    x, y = blobs()
    with pytest.raises(TaskError, match="model: does not run on inputs") as error:
        prepared(train=(x.long(), y), val=(x.long(), y))
    assert error.value.hint == "torch.int64 inputs reach it as they are; give x.float() where it takes numbers"


def test_a_network_that_works_in_place_leaves_the_example_alone() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp((3, 8, 3))

        def forward(self, x: torch.Tensor) -> Any:
            return self.net(x.sub_(0.5))

    example = torch.rand(4, 3)
    before = example.clone()
    prepared(model=Shifted, example=example)
    assert torch.equal(example, before)


def val(targets: torch.Tensor) -> dict[str, Any]:
    return {"val": (blobs(len(targets))[0], targets)}


def test_chance_is_the_share_of_the_commonest_class() -> None:
    assert prepared(**val(torch.tensor([0] * 20 + [2] * 60))).chance == 0.75


def test_targets_to_leave_out_count_for_no_class() -> None:
    targets = torch.tensor([-100] * 30 + [0] * 10 + [2] * 20)
    assert prepared(**val(targets), train=(blobs(60)[0], targets)).chance == 20 / 30
    assert prepared(**val(torch.full((4,), -100))).chance == 1 / 3


@pytest.mark.parametrize("ones", [9, 81])
def test_chance_of_targets_that_are_floats_is_that_of_the_commoner_answer(ones: int) -> None:
    fields = {"model": lambda: mlp((3, 8, 1)), "loss": "bce_with_logits"}
    x, _ = blobs(90)
    y = (torch.arange(90) < ones).float()
    assert prepared(**fields, train=(x, y), val=(x, y), test=(x, y)).chance == 0.9


class Tokens(nn.Module):
    """The mean of what tokens stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, 8)
        self.net = mlp((8, 16, 2))

    def forward(self, x: torch.Tensor) -> Any:
        return self.net(self.tokens(x).mean(1))


def sentences(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randint(0, 20, (count, 7), generator=torch.Generator().manual_seed(seed))
    return x, ((x < 10).sum(1) > 3).long()


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_a_network_of_tokens_is_pruned(granularity: str) -> None:
    runner = make_runner(model=Tokens, train=sentences(240, 0), val=sentences(90, 1), test=sentences(90, 2))
    result = runner.run(job(policy(granularity=granularity)))
    assert result.state == "complete", result.reason
    assert result.measures is not None and result.measures.accuracy > 0.7


@pytest.mark.parametrize("loss", [nn.BCELoss(), nn.functional.binary_cross_entropy])
def test_a_probability_is_no_logit(loss: Any) -> None:
    x, y = blobs()
    data = (x, (y == 0).float()[:, None])
    fields = {
        "model": lambda: nn.Sequential(mlp((3, 8, 1)), nn.Sigmoid()),
        "train": data,
        "val": data,
        "test": data,
        "loss": loss,
    }
    with pytest.raises(TaskError, match="takes one output for a logit"):
        prepared(**fields)
    assert prepared(**fields, metric=lambda outputs, targets: float(((outputs > 0.5) == targets).float().mean())).chance is None

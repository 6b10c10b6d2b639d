"""Resident batches hold what the data holds, in a seeded order, scaled and augmented like torchvision's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from prunesearch.errors import TaskError
from prunesearch.measure.accuracy import evaluate
from prunesearch.training.augment import margin
from prunesearch.training.data import Batches, Handling, Resident, Streamed, first_batch
from prunesearch.training.seeding import seed_everything, seed_of

CPU = torch.device("cpu")
PIXELS = torch.randint(0, 256, (37, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(37)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


def resident(x: torch.Tensor = PIXELS, **how: Any) -> Resident:
    return Resident(x, LABELS, Handling(**{"batch_size": 8, "device": CPU, **how}))


def joined(batches: Any) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = list(batches)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


def test_an_epoch_holds_every_example_once_in_an_order_of_its_seed_and_number() -> None:
    data = resident()
    orders = {key: joined(data.shuffled(*key))[1] for key in ((0, 0), (0, 1), (1, 0))}
    for order in orders.values():
        assert sorted(order.tolist()) == list(range(37))
    assert len({tuple(o.tolist()) for o in orders.values()}) == 3
    assert torch.equal(orders[0, 1], joined(data.shuffled(0, 1))[1])


def test_inputs_follow_their_targets() -> None:
    x, y = joined(resident().shuffled(0, 0))
    assert torch.equal((x * 255).round().to(torch.uint8), PIXELS[y])


@pytest.mark.parametrize(("count", "steps"), [(16, 2), (17, 2), (18, 3), (1, 1), (3, 1)])
def test_a_last_batch_of_one_is_left_out_for_batch_norm(count: int, steps: int) -> None:
    data = Resident(PIXELS[:count], LABELS[:count], Handling(8, CPU))
    assert data.steps == len(list(data.shuffled(0, 0))) == steps
    assert len(joined(data.ordered())[1]) == count


def test_the_caller_may_keep_every_batch_size() -> None:
    sizes = [len(y) for _, y in resident(batch_size=10).shuffled(0, 0)]
    assert sizes == [10, 10, 10, 7]


def test_scaling_is_torchvisions() -> None:
    transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    x, y = joined(resident(normalize=(MEAN, STD)).ordered())
    assert torch.equal(y, LABELS)
    assert torch.allclose(x, transform(PIXELS), atol=1e-6)


def test_floats_are_taken_as_they_are_and_normalised_where_asked() -> None:
    floats = PIXELS.double() / 255
    assert torch.equal(joined(resident(floats).ordered())[0], floats.float())
    x, _ = joined(resident(floats, normalize=(MEAN, STD)).ordered())
    assert torch.allclose(x, functional.normalize(floats.float(), list(MEAN), list(STD)), atol=1e-6)


def test_the_data_itself_is_never_changed() -> None:
    floats = torch.rand(37, 4)
    data = resident(floats, normalize=((0.5,), (0.1,)))
    before = floats.clone()
    for _ in range(2):
        joined(data.shuffled(0, 0))
    assert torch.equal(floats, before)
    assert torch.allclose(joined(data.ordered())[0], (before - 0.5) / 0.1, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_whole_numbers_stay_what_they_are_unless_they_are_normalised(dtype: torch.dtype) -> None:
    tokens = torch.arange(37 * 5).view(37, 5).to(dtype) + 2**24
    data = resident(tokens)
    for x, y in (joined(data.ordered()), joined(data.shuffled(0, 0))):
        assert x.dtype == dtype and torch.equal(x, tokens[y])
    assert joined(resident(tokens, normalize=((0.5,), (0.1,))).ordered())[0].dtype == torch.float32
    assert joined(resident(tokens.to(torch.int16)).ordered())[0].dtype == torch.float32


class Shifted(torch.nn.Module):
    """A network that works in place on what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sub_(1).flatten(1)


FLOATS = torch.rand(37, 3, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("x", "how"),
    [
        (FLOATS.flatten(1), {}),
        (FLOATS, {"channels_last": True}),
        (FLOATS, {}),
        (FLOATS[:, :1], {}),
        (FLOATS, {"channels_last": True, "augment": ("crop",)}),
        (FLOATS, {"normalize": (MEAN, STD)}),
        ((FLOATS * 9).flatten(1).long(), {}),
        (PIXELS, {"channels_last": True}),
    ],
    ids=["rows", "channels last", "images", "one channel", "margins", "normalised", "whole numbers", "pixels"],
)
def test_a_network_that_works_in_place_changes_no_data(x: torch.Tensor, how: dict[str, Any]) -> None:
    data, before, labels = resident(x, **how), x.clone(), LABELS.clone()
    first, again = (evaluate(Shifted(), data.ordered(), lambda outputs, _: float(outputs.double().sum())) for _ in range(2))
    for _, y in data.ordered():
        y.sub_(1)
    assert first == again
    assert torch.equal(x, before) and torch.equal(labels, LABELS) and torch.equal(data.targets, LABELS)
    batch, wanted = first_batch(data, "val")[0], torch.channels_last if how.get("channels_last") else torch.contiguous_format
    assert batch.dim() < 4 or batch.is_contiguous(memory_format=wanted)


@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_have_the_networks_memory_format(channels_last: bool) -> None:
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    for augment in ((), ("crop", "flip")):
        data = resident(channels_last=channels_last, augment=augment)
        for batches in (data.shuffled(0, 0), data.ordered()):
            assert all(x.is_contiguous(memory_format=wanted) and x.shape[1:] == (3, 6, 5) for x, _ in batches)


def views(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """All images that the augmentation may make of one, by torchvision's functions."""
    padded = functional.pad(image, [padding] * 4) if padding else image
    span = range(2 * padding + 1)
    cut = [functional.crop(padded, top, left, 6, 5) for top in span for left in span]
    return cut + ([functional.horizontal_flip(c) for c in cut] if flip else [])


@pytest.mark.parametrize(
    ("kinds", "padding"), [(("crop",), 4), (("flip",), 0), (("crop", "flip"), 4), (("shift",), 2), (("shift", "flip"), 2)]
)
def test_augmented_images_are_among_torchvisions_crops_and_flips(kinds: tuple[str, ...], padding: int) -> None:
    x, y = joined(resident(augment=kinds).shuffled(0, 0))
    places = []
    for image, label in zip((x * 255).round().to(torch.uint8), y, strict=True):
        possible = views(PIXELS[label], padding, "flip" in kinds)
        hits = [i for i, view in enumerate(possible) if torch.equal(image, view)]
        assert hits
        places.append(hits[0])
    assert len(set(places)) > 1
    assert margin(kinds) == padding


def test_augmentation_follows_seed_and_epoch_and_leaves_evaluation_alone() -> None:
    data = resident(augment=("crop", "flip"))
    first, again, other = (joined(data.shuffled(0, epoch))[0] for epoch in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first.sum(0), other.sum(0))
    assert torch.equal((joined(data.ordered())[0] * 255).round().to(torch.uint8), PIXELS)


def test_an_augmentation_of_ones_own_gets_batches_and_a_seeded_generator() -> None:
    def noise(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return x + torch.rand(x.shape, generator=generator)

    data = resident(torch.zeros(37, 4), augment=noise)
    first, again, *others = (joined(data.shuffled(*key))[0] for key in ((0, 0), (0, 0), (1, 0), (0, 1)))
    assert torch.equal(first, again)
    assert not any(torch.equal(first, other) for other in others)


def loaders(**kwargs: Any) -> Streamed:
    return Streamed(lambda: DataLoader(TensorDataset(PIXELS.float(), LABELS), **kwargs), Handling(8, CPU, True), "train")


def test_a_loaders_order_follows_the_seed_and_the_epoch() -> None:
    data = loaders(batch_size=8, shuffle=True)
    orders = [joined(data.shuffled(*key))[1].tolist() for key in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1] and len({tuple(o) for o in orders}) == 3
    assert (data.size, data.steps) == (37, 5)
    assert next(data.ordered())[0].is_contiguous(memory_format=torch.channels_last)


def test_a_loader_that_fails_has_no_length_or_other_batches_is_told() -> None:
    class Endless(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([])

    def broken() -> Any:
        raise KeyError("gone")

    with pytest.raises(TaskError, match="val: making the loader fails: KeyError: 'gone'"):
        Streamed(broken, Handling(8, CPU), "val")
    with pytest.raises(TaskError, match="train: the loader has no length"):
        Streamed(lambda: DataLoader(Endless()), Handling(8, CPU), "train")
    triples = Streamed(lambda: DataLoader(TensorDataset(PIXELS, LABELS, LABELS)), Handling(8, CPU), "val")
    with pytest.raises(TaskError, match=r"val: a batch must be a pair of tensors .inputs, targets., got 3 parts"):
        next(triples.ordered())


def test_the_first_batch_is_given_and_an_empty_split_is_told() -> None:
    both: tuple[Batches, ...] = (resident(), loaders(batch_size=2))
    assert [len(first_batch(data, "train")[1]) for data in both] == [37, 2]
    assert all(torch.equal(first_batch(data, "train")[1][:2], LABELS[:2]) for data in both)
    with pytest.raises(TaskError, match="val: gives no batch"):
        first_batch(Resident(PIXELS[:0], LABELS[:0], Handling(8, CPU)), "val")
    with pytest.raises(TaskError, match="val: gives no batch"):
        first_batch(loaders(batch_size=40, drop_last=True), "val")


def test_seeds_differ_by_purpose_and_are_the_same_everywhere() -> None:
    assert seed_of(0, "order", 1) == 7021862330116196507
    assert len({seed_of(s, p, e) for s in range(3) for p in ("order", "epoch") for e in range(3)}) == 18


def test_all_global_generators_are_seeded() -> None:
    import random

    import numpy as np

    draws = []
    for number in (1, 1, 2):
        seed_everything(0, "epoch", number)
        draws.append((float(torch.rand(())), float(np.random.rand()), random.random()))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert all(a != b for a, b in zip(draws[1], draws[2], strict=True))

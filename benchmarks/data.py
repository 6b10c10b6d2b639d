"""The images of the scenarios: as raw tensors, and as the data sets of torchvision that tutorials use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, Subset
from torchvision import datasets, transforms

from benchmarks.scenarios import Scenario
from prunesearch import models
from prunesearch.tasks.downloaded import data_root, image_set
from prunesearch.tasks.embedded import embedded_set

Pair = tuple[torch.Tensor, torch.Tensor]
COLOURED = 32
"""Side of images that are made to look like CIFAR-10's."""


def network(scenario: Scenario) -> nn.Module:
    """A fresh dense network of the scenario."""
    name, arguments = scenario.network
    return cast("nn.Module", getattr(models, name)(**arguments))


def raw(scenario: Scenario, data_dir: str | None) -> tuple[Pair, Pair]:
    """Training (validation included) and test images: uint8 (n, channels, height, width) and int64 (n,).

    Raises:
        MissingDataError: the data set is not there.
    """
    train, test = _whole(scenario, data_dir)
    return _part(train, scenario.train, scenario), _part(test, scenario.test, scenario)


def pictures(scenario: Scenario, data_dir: str | None, *, train: bool, transform: Callable[[Any], Any]) -> Dataset[Any]:
    """The same images as a data set of PIL images with a transform.

    Args:
        scenario: whose images.
        data_dir: torchvision root; what `raw` needed is unpacked there.
        train: which part.
        transform: from a PIL image to a tensor.
    """
    if scenario.data == "digits":
        return _Pictures(raw(scenario, data_dir)[0 if train else 1], transform)
    made = datasets.MNIST if scenario.data == "mnist" else datasets.FashionMNIST
    whole = made(root=str(data_root(data_dir)), train=train, transform=transform)
    count = scenario.train if train else scenario.test
    return Subset(whole, range(count)) if count else whole


def usual_transform(scenario: Scenario, *, augment: bool) -> Callable[[Any], Any]:
    """What tutorials do to a PIL image: ToTensor and Normalize, before that crops and flips where asked for."""
    steps: list[Any] = []
    if scenario.coloured:
        steps += [transforms.Pad(2), transforms.Grayscale(3)]
    if augment and scenario.augment:
        steps += [transforms.RandomCrop(COLOURED, padding=4), transforms.RandomHorizontalFlip()]
    mean, deviation = scenario.normalize
    channels = 3 if scenario.coloured else 1
    steps += [transforms.ToTensor(), transforms.Normalize([mean] * channels, [deviation] * channels)]
    made: Callable[[Any], Any] = transforms.Compose(steps)
    return made


class _Pictures(Dataset[Any]):
    """Raw images as a data set of PIL images."""

    def __init__(self, pair: Pair, transform: Callable[[Any], Any]) -> None:
        self._images = [Image.fromarray(image[0].numpy()) for image in pair[0]]
        self._labels, self._transform = pair[1].tolist(), transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._transform(self._images[index]), self._labels[index]


def _whole(scenario: Scenario, data_dir: str | None) -> tuple[Pair, Pair]:
    if scenario.data != "digits":
        return image_set(scenario.data, str(Path(data_dir).expanduser()) if data_dir else None)
    return embedded_set("digits", 0)


def _part(pair: Pair, count: int, scenario: Scenario) -> Pair:
    x, y = (part[:count] if count else part for part in pair)
    if scenario.coloured:
        margin = (COLOURED - x.shape[-1]) // 2
        x = nn.functional.pad(x, (margin,) * 4).expand(-1, 3, -1, -1).contiguous()
    return x, y

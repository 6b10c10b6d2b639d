"""The built-in tasks by name, known without torch: data set x network, each with its recipe and one line of help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Network:
    """One network on one kind of data: what it is, how it is built, how it is trained.

    Args:
        about: what it is, in a few words.
        build: name of the function in `prunesearch.models`.
        kwargs: what that function is called with.
        recipe: fields of `Task` that differ from the defaults.
    """

    about: str
    build: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """One data set: what it is, where it comes from, which networks are ready for it.

    Args:
        about: what it is, in a few words.
        networks: ready networks by name.
        shape: shape of one example.
        classes: number of classes.
    """

    about: str
    networks: Mapping[str, Network]
    shape: tuple[int, ...]
    classes: int


def _mlp(*sizes: int, bias: bool = True, **recipe: Any) -> Network:
    about = f"MLP {'-'.join(map(str, sizes))}" + ("" if bias else " without biases")
    return Network(about, "mlp", {"sizes": sizes, "bias": bias}, recipe)


_SMALL: Mapping[str, Any] = {"epochs": 20, "batch_size": 32, "lr": 5e-3, "lr_schedule": "cosine", "val_fraction": 0.2}
_IMAGES: Mapping[str, Any] = {"epochs": 10, "batch_size": 128, "lr": 1.2e-3, "lr_schedule": "cosine"}
_CIFAR: Mapping[str, Any] = {
    "epochs": 160,
    "batch_size": 128,
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "lr_schedule": "cosine",
    "warmup_epochs": 1.0,
    "augment": ("crop", "flip"),
}

_MNIST_NETWORKS: Mapping[str, Network] = {
    "lenet300": _mlp(784, 300, 100, 10, **_IMAGES),
    "lenet5": Network("LeNet-5 (Caffe)", "lenet5", {}, {**_IMAGES, "epochs": 20, "augment": ("shift",)}),
    "cnn84": Network("CNN with 8 and 4 filters", "cnn84", {}, _IMAGES),
    "mlp32": _mlp(784, 32, 32, 10, **_IMAGES),
    "mlp1000": _mlp(784, 1000, 1000, 500, 200, 10, bias=False, **_IMAGES),
}

DATA: Mapping[str, Data] = {
    "digits": Data(
        "1,797 scanned digits of scikit-learn, 8 x 8",
        {"mlp": _mlp(64, 128, 64, 10, **_SMALL), "cnn": Network("CNN with batch norm", "digits_cnn", {}, _SMALL)},
        (1, 8, 8),
        10,
    ),
    "iris": Data(
        "150 flowers of scikit-learn", {"mlp": _mlp(4, 32, 16, 3, **{**_SMALL, "epochs": 40, "batch_size": 16})}, (4,), 3
    ),
    "moons": Data("two half circles, generated", {"mlp": _mlp(2, 30, 2, **{**_SMALL, "epochs": 30, "lr": 1e-2})}, (2,), 2),
    "circles": Data(
        "two nested circles, generated", {"mlp": _mlp(2, 20, 18, 16, 14, 2, **{**_SMALL, "epochs": 30, "lr": 1e-2})}, (2,), 2
    ),
    "mnist": Data("MNIST, 70,000 digits, 28 x 28", _MNIST_NETWORKS, (1, 28, 28), 10),
    "fashion": Data("Fashion-MNIST, 70,000 garments, 28 x 28", _MNIST_NETWORKS, (1, 28, 28), 10),
    "cifar10": Data(
        "CIFAR-10, 60,000 photos, 3 x 32 x 32",
        {
            "resnet20": Network("ResNet-20", "resnet", {"depth": 20}, _CIFAR),
            "resnet56": Network("ResNet-56", "resnet", {"depth": 56}, _CIFAR),
            "vgg16": Network("VGG-16 with batch norm", "vgg16", {}, {**_CIFAR, "lr": 0.05}),
        },
        (3, 32, 32),
        10,
    ),
}
"""All built-in data sets by name."""

FOREIGN_RECIPE = _CIFAR
"""Recipe of torchvision's networks, whatever the data."""


def builtin_tasks() -> Mapping[str, str]:
    """The built-in tasks: name (`digits-mlp`) -> one line of help."""
    names = {f"{d}-{n}": f"{network.about} on {data.about}" for d, data in DATA.items() for n, network in data.networks.items()}
    return MappingProxyType(names)

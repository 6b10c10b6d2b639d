"""Data sets that scikit-learn ships or generates: digits, iris, moons, circles. No network, no files."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch

from prunesearch.tasks.cache import NOTHING_KEPT, ArrayCache
from prunesearch.training.files import Tensors
from prunesearch.training.seeding import narrow

Pair = tuple[torch.Tensor, torch.Tensor]

TEST_FRACTION = 0.2
GENERATED = 2000
"""Points of moons and circles, training and test together."""
NOISE = {"moons": 0.15, "circles": 0.05}
"""Standard deviation of the points around their curve; the two circles are 0.2 apart."""


def embedded_set(name: str, seed: int, cache: ArrayCache = NOTHING_KEPT) -> tuple[Pair, Pair]:
    """Training and test part of a data set, stratified by class.

    Args:
        name: digits, iris, moons or circles.
        seed: of the split, and of the points of moons and circles.
        cache: where decoded arrays are kept.

    Returns:
        ((x, y), (x, y)): digits uint8 (n, 1, 8, 8) in 0..255; iris standardised by the training part, float (n, 4);
        moons and circles float (n, 2); targets int64.
    """
    made = cache.kept(f"{name} seed {seed}", _versions, lambda: _made(name, seed))
    return (made["x_train"], made["y_train"]), (made["x_test"], made["y_test"])


def _versions() -> str:
    """What the arrays depend on beside name and seed."""
    return f"scikit-learn {version('scikit-learn')}, numpy {version('numpy')}"


def _made(name: str, seed: int) -> Tensors:
    from sklearn.model_selection import train_test_split  # most of a second of imports that later processes do without

    x, y = _arrays(name, seed)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=TEST_FRACTION, random_state=narrow(seed), stratify=y)
    if name == "iris":
        mean, std = x_train.mean(axis=0), x_train.std(axis=0)
        x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    train, test = _tensors(x_train, y_train), _tensors(x_test, y_test)
    return {"x_train": train[0], "y_train": train[1], "x_test": test[0], "y_test": test[1]}


def _arrays(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    match name:
        case "digits":
            x, y = datasets.load_digits(return_X_y=True)
            return np.round(x * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8), y
        case "iris":
            x, y = datasets.load_iris(return_X_y=True)
            return x, y
        case "moons":
            x, y = datasets.make_moons(GENERATED, noise=NOISE[name], random_state=narrow(seed))
            return x, y
        case "circles":
            x, y = datasets.make_circles(GENERATED, noise=NOISE[name], factor=0.8, random_state=narrow(seed))
            return x, y
    raise KeyError(name)


def _tensors(x: np.ndarray, y: np.ndarray) -> Pair:
    inputs = torch.from_numpy(np.ascontiguousarray(x if x.dtype == np.uint8 else x.astype(np.float32)))
    return inputs, torch.from_numpy(y.astype(np.int64))

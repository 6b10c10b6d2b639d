"""The built-in tasks: data of `embedded` or `downloaded`, a network of `prunesearch.models`, a recipe of `catalogue`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from prunesearch import models
from prunesearch.tasks.cache import NOTHING_KEPT, ArrayCache
from prunesearch.tasks.catalogue import DATA, FOREIGN_RECIPE
from prunesearch.tasks.downloaded import IMAGE_SETS, image_set
from prunesearch.tasks.embedded import embedded_set
from prunesearch.tasks.networks import network as foreign_network
from prunesearch.tasks.reference import FOREIGN
from prunesearch.tasks.task import Task

Pair = tuple[torch.Tensor, torch.Tensor]


def builtin_task(
    data: str, network: str, *, data_dir: str | None, seed: int, download: bool | None, cache: ArrayCache = NOTHING_KEPT
) -> Task:
    """A built-in data set with a ready network, or with one of torchvision's.

    Args:
        data: a key of `catalogue.DATA`.
        network: one of the data set's networks, or `torchvision.NAME`.
        data_dir: see `load_task`.
        seed: of the test split of data sets that come without one.
        download: see `load_task`.
        cache: where decoded arrays are kept.

    Raises:
        MissingDataError: the data set is not there and could not be fetched.
        TaskError: torchvision has no such network.
    """
    if data in IMAGE_SETS:
        train, test = image_set(data, data_dir, download, cache)
        normalize = IMAGE_SETS[data].normalize
    else:
        train, test = embedded_set(data, seed, cache)
        normalize = None
    model, recipe, spread = _network(data, network)
    if spread:
        train, test = _as_rgb(train), _as_rgb(test)
        normalize = normalize and (normalize[0] * 3, normalize[1] * 3)
    return Task(name=f"{data}-{network}", model=model, train=train, test=test, normalize=normalize, **recipe)


def _network(data: str, network: str) -> tuple[Callable[[], nn.Module], dict[str, Any], bool]:
    """Factory, recipe, and whether one channel has to be spread to the three that torchvision's networks take."""
    about = DATA[data]
    if network.startswith(FOREIGN):
        shape = about.shape
        return foreign_network(network, shape, about.classes), dict(FOREIGN_RECIPE), len(shape) == 3 and shape[0] == 1
    found = about.networks[network]
    return partial(getattr(models, found.build), **found.kwargs), dict(found.recipe), False


def _as_rgb(pair: Pair) -> Pair:
    return pair[0].expand(-1, 3, -1, -1), pair[1]

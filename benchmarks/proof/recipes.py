"""Published networks that are no built-in tasks, as a task file for `prunesearch curve`.

    prunesearch curve --task benchmarks/proof/recipes.py:mnist --data-dir DIR

`mnist` and `fashion` are the MLP of 2,386,000 weights, trained as NeuralNetPruning trains it: Adam at 0.001 throughout, batches
of 64, pixels divided by 255, weights drawn after Glorot, five epochs. That system trains on all 60,000 images and measures on
the test images; here 600 are held out, because a task has a validation split. `narrow_mnist` and `narrow_fashion` are the
MLP of "Ways to prune".
"""

from __future__ import annotations

from functools import partial

from torch import nn

import prunesearch as ps
from prunesearch.models import mlp
from prunesearch.tasks.downloaded import image_set

WIDTHS = (784, 1000, 1000, 500, 200, 10)


def network() -> nn.Module:
    """784-1000-1000-500-200-10 without biases, as Keras draws it."""
    made = mlp(WIDTHS, bias=False)
    for weights in made.parameters():
        nn.init.xavier_uniform_(weights)
    return made


def mnist(data_dir: str | None = None) -> ps.Task:
    """On MNIST."""
    return _task("mnist", data_dir)


def fashion(data_dir: str | None = None) -> ps.Task:
    """On Fashion-MNIST."""
    return _task("fashion", data_dir)


def narrow_mnist(data_dir: str | None = None) -> ps.Task:
    """784-140-130-120-110-10 on MNIST."""
    return _narrow("mnist", data_dir)


def narrow_fashion(data_dir: str | None = None) -> ps.Task:
    """784-140-130-120-110-10 on Fashion-MNIST."""
    return _narrow("fashion", data_dir)


def _narrow(data: str, data_dir: str | None) -> ps.Task:
    train, test = image_set(data, data_dir)
    net = partial(mlp, (784, 140, 130, 120, 110, 10))
    return ps.Task(name=f"{data}, narrow", model=net, train=train, test=test, epochs=10, lr_schedule="cosine")


def _task(data: str, data_dir: str | None) -> ps.Task:
    train, test = image_set(data, data_dir)
    return ps.Task(
        name=f"{data}, as published",
        model=network,
        train=train,
        test=test,
        epochs=5,
        batch_size=64,
        lr=1e-3,
        lr_schedule="constant",
        val_fraction=0.01,
    )

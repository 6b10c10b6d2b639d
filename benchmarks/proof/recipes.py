"""The published MLP of 2,386,000 weights, trained as NeuralNetPruning trains it: a task file for `prunesearch curve`.

    prunesearch curve --task benchmarks/proof/recipes.py:mnist --data-dir DIR

Adam at 0.001 throughout, batches of 64, pixels divided by 255, weights drawn after Glorot, five epochs. That system trains on all
60,000 images and measures on the test images; here 600 are held out, because a task has a validation split.
"""

from __future__ import annotations

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

"""The scenarios as tasks of prunesearch: `benchmarks/tasks.py:lenet300`."""

from __future__ import annotations

from functools import partial

from benchmarks.data import network, raw
from benchmarks.scenarios import SCENARIOS
from prunesearch.tasks import Task


def lenet300(data_dir: str | None = None) -> Task:
    """LeNet-300-100 on MNIST."""
    return _task("lenet300", data_dir)


def lenet5(data_dir: str | None = None) -> Task:
    """LeNet-5 on 10,000 images of MNIST."""
    return _task("lenet5", data_dir)


def resnet20(data_dir: str | None = None) -> Task:
    """ResNet-20 on 2,000 images that look like CIFAR-10's."""
    return _task("resnet20", data_dir)


def digits(data_dir: str | None = None) -> Task:
    """A perceptron on scikit-learn's digits."""
    return _task("digits", data_dir)


def _task(name: str, data_dir: str | None) -> Task:
    scenario = SCENARIOS[name]
    train, test = raw(scenario, data_dir)
    mean, deviation = scenario.normalize
    return Task(
        name=name,
        model=partial(network, scenario),
        train=train,
        test=test,
        epochs=scenario.epochs,
        batch_size=scenario.batch_size,
        lr=scenario.lr,
        lr_schedule="cosine",
        normalize=((mean,), (deviation,)),
        augment=("crop", "flip") if scenario.augment else (),
    )

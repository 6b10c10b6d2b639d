"""Everything of a task that all its trials share: data on the device, groups, the dense network, the digest."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from prunesearch.errors import EnvironmentFailure, TaskError, first_line
from prunesearch.measure.params import count_dense, count_macs
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.results import TaskInfo
from prunesearch.tasks.cache import ArrayCache
from prunesearch.tasks.digest import task_digest
from prunesearch.tasks.task import Task
from prunesearch.tasks.types import Batch, Loss
from prunesearch.training.augment import margin
from prunesearch.training.data import Handling, Resident, first_batch
from prunesearch.training.losses import make_loss
from prunesearch.training.optimizers import is_of_torch, make_optimizer
from prunesearch.training.seeding import seed_everything
from prunesearch.training.splits import Splits, make_splits, raw_splits
from prunesearch.training.weights import put_weights, read_weights

EXAMPLES = 16
"""Inputs for tracing the network and for comparing the masked with the cut one."""


@dataclass(frozen=True)
class Prepared:
    """A task ready for trials on one device.

    Args:
        task: what was prepared.
        device: where trials run.
        splits: batches on the device.
        loss: the task's loss.
        example: the first training inputs, (EXAMPLES, ...) or fewer.
        dense: a network with its initial values, on the device, in eval mode; never changed.
        groups: what can be pruned.
        channels_last: memory format of the networks.
        state: given weights, or None.
        chance: the accuracy that a constant answer has on the validation split; None where that means nothing.
        info: what a driver has to know.
        known: whether the digest knows all of the task's code; else epochs are this process's own.
    """

    task: Task
    device: torch.device
    splits: Splits
    loss: Loss
    example: torch.Tensor
    dense: nn.Module
    groups: Groups
    channels_last: bool
    state: Mapping[str, torch.Tensor] | None
    chance: float | None
    info: TaskInfo
    known: bool = True

    def fresh(self, seed: int) -> nn.Module:
        """A network with the initial values of `seed`, or with the given weights, on the device."""
        return _network(self.task, self.state, seed, self.device, self.channels_last)


def prepare(
    task: Task, ref: str, *, seed: int, device: torch.device, epochs: int | None = None, cache: str | Path | None = None
) -> Prepared:
    """Load, check and place everything.

    Args:
        task: what to prepare.
        ref: how it was loaded; its file is part of the digest.
        seed: of the splits and of the dense network's initial values.
        device: where trials run.
        epochs: in place of the task's.
        cache: folder of arrays that all processes of the host share; None: this process has its own.

    Raises:
        TaskError: network, data, loss, optimiser or weights do not fit together.
        MissingDataError: the file of the weights is not there.
    """
    state = None if task.weights is None else read_weights(task.weights)
    plain = _network(task, state, seed, torch.device("cpu"), channels_last=False)
    channels_last = _wants_channels_last(task, plain)
    how = Handling(task.batch_size, device, channels_last, task.normalize, task.augment)
    kept = ArrayCache(Path(cache) if cache and device.type == "cpu" else None)
    margins = {} if callable(task.augment) else {"train": margin(task.augment)}
    sources = kept.held(f"{ref} seed {seed}", raw_splits(task, seed, kept), margins)
    # so that nothing else holds on to what the task was made with
    task = replace(task, train=sources["train"], val=sources["val"], test=sources.get("test"))
    splits = make_splits(sources, how)
    firsts = {name: first_batch(getattr(splits, name), name) for name in sources}
    example = _example(task, firsts["train"][0], how)
    dense = _placed(copy.deepcopy(plain), device, channels_last).eval()
    loss = make_loss(task.loss)
    classes = _checked(task, dense, splits, loss, firsts["val"])
    digest, known = task_digest(task, ref, plain.state_dict(), plain, sources)
    groups = find_groups(dense, example, spare=task.spare)
    info = TaskInfo(
        name=task.name or ref,
        digest=digest,
        epochs=task.epochs if epochs is None else epochs,
        metric=task.metric_name,
        direction=task.goal,
        groups=groups.infos,
        weights_given=state is not None,
        params=count_dense(dense),
        macs=count_macs(dense, example),
        sizes=splits.sizes,
        classes=classes,
        input_shape=tuple(example.shape[1:]),
        device=device_name(device),
        shares=_shares(task, splits, plain),
    )
    chance = _chance(splits, classes) if task.metric == "accuracy" and classes and task.evaluate is None else None
    return Prepared(task, device, splits, loss, example, dense, groups, channels_last, state, chance, info, known)


def find_device(name: str) -> torch.device:
    """The device of `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        EnvironmentFailure: torch sees no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise EnvironmentFailure(f"device '{name}' is not there", "--device cpu runs everywhere")
    return torch.device("cuda", index)


def device_name(device: torch.device) -> str:
    """`cpu`, or `cuda:0 NVIDIA H200`."""
    return "cpu" if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"


def _network(
    task: Task, state: Mapping[str, torch.Tensor] | None, seed: int, device: torch.device, channels_last: bool
) -> nn.Module:
    """A network of the task with initial values from `seed`, or with the weights of `state`."""
    seed_everything(seed, "initial")
    try:
        model: Any = task.model()
    except Exception as problem:
        raise TaskError(f"model: making the network failed: {type(problem).__name__}: {problem}") from problem
    if not isinstance(model, nn.Module):
        raise TaskError(f"model: returned {type(model).__name__}", "it must return a torch.nn.Module")
    if not any(True for _ in model.parameters()):
        raise TaskError("model: the network has no parameters")
    if state is not None:
        put_weights(model, state)
    return _placed(model, device, channels_last)


def _placed(model: nn.Module, device: torch.device, channels_last: bool) -> nn.Module:
    model = model.to(device)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def _wants_channels_last(task: Task, model: nn.Module) -> bool:
    """channels_last trains LeNet-5 1.5x and ResNet-20 1.29x faster on the CPU."""
    if task.channels_last is not None:
        return task.channels_last
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def _example(task: Task, inputs: torch.Tensor, how: Handling) -> torch.Tensor:
    """The task's example, else the first of the inputs; a copy, which a forward pass may change."""
    if task.example is None:
        return inputs[:EXAMPLES].clone()
    given = task.example.to(how.device, copy=True)
    image = how.channels_last and given.dim() == 4
    return given.contiguous(memory_format=torch.channels_last) if image else given


def _checked(task: Task, model: nn.Module, splits: Splits, loss: Loss, batch: Batch) -> int:
    """Number of classes, after the first validation batch has gone through network and loss.

    Raises:
        TaskError: the network does not run on its data, or its outputs do not fit the targets.
    """
    x, y = (part[: task.batch_size] for part in batch)
    try:
        with torch.no_grad():
            outputs = model(x)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as problem:
        hint = None if x.is_floating_point() else f"{x.dtype} inputs reach it as they are; give x.float() where it takes numbers"
        raise TaskError(f"model: does not run on inputs {tuple(x.shape)}: {first_line(problem)}", hint) from problem
    if task.train_epoch is not None and task.evaluate is not None:
        return task.classes or 0  # what the outputs are is the user's own business
    classes = _classes(task, outputs, splits, x)
    try:
        value: Any = loss(outputs, y)
    except (RuntimeError, ValueError, TypeError, IndexError) as problem:
        told = f"outputs {tuple(outputs.shape)} do not fit targets {tuple(y.shape)} {y.dtype}"
        raise TaskError(f"loss: {told}: {first_line(problem)}") from problem
    if not isinstance(value, torch.Tensor) or value.dim() != 0:
        raise TaskError("loss: must return a scalar tensor, the mean over the batch")
    return classes


def _classes(task: Task, outputs: Any, splits: Splits, x: torch.Tensor) -> int:
    """Number of classes that the outputs stand for, 0 where it is not a classification."""
    if not isinstance(outputs, torch.Tensor) or outputs.dim() < 1 or len(outputs) != len(x):
        shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise TaskError(f"model: must return a tensor with one row per example, inputs {tuple(x.shape)} gave {shape}")
    if task.classes == 0 or task.metric not in ("accuracy", "top5"):
        return task.classes or 0
    wide = outputs.shape[1] if outputs.dim() > 1 else 1
    if wide == 1 and (isinstance(task.loss, nn.BCELoss) or task.loss is functional.binary_cross_entropy):
        raise TaskError(
            "loss: takes one probability per example, while accuracy takes one output for a logit, class 1 where it is positive",
            "end the network without a sigmoid and use loss 'bce_with_logits', or give a metric of your own",
        )
    found = max(2, wide)
    needed = max((_largest(split) + 1 for split in (splits.train, splits.val, splits.test)), default=0)
    needed = max(needed, task.classes or 0)
    if needed > found:
        raise TaskError(
            f"model: has {wide} outputs per example, the targets have {needed} classes", "the last layer must be as wide"
        )
    return task.classes or found


def _largest(split: object) -> int:
    """The largest class number of resident targets, -1 where they are not at hand."""
    if not isinstance(split, Resident) or split.targets.is_floating_point():
        return -1
    return int(split.targets.max())


def _chance(splits: Splits, classes: int) -> float:
    """The share of the commonest class in the validation split; targets below 0 are left out, as by `ignore_index`."""
    if not isinstance(splits.val, Resident):
        return 1 / classes
    targets = splits.val.targets.flatten()
    if targets.is_floating_point():
        ones = int((targets > 0.5).sum())
        return max(ones, len(targets) - ones) / len(targets) if classes == 2 else 1 / classes
    counts = targets[targets >= 0].long().bincount(minlength=1)
    return int(counts.max()) / int(counts.sum()) if bool(counts.any()) else 1 / classes


def _shares(task: Task, splits: Splits, model: nn.Module) -> bool:
    """Whether epochs may be shared: what a user's own loader, loop or optimiser keeps between epochs may be in no snapshot."""
    of_torch = isinstance(task.optimizer, str) or is_of_torch(make_optimizer(task, model))
    return of_torch and task.train_epoch is None and task.evaluate is None and isinstance(splits.train, Resident)

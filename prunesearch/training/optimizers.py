"""Optimisers by name: the fused or else the batched form of torch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from prunesearch.errors import TaskError
from prunesearch.tasks.task import Task
from prunesearch.tasks.types import MakeOptimizer

FUSED = frozenset({"adam", "adamw", "sgd", "adagrad"})
"""Those that torch has in one kernel, on the CPU too."""


def make_optimizer(task: Task, model: nn.Module, *, graphed: bool = False) -> torch.optim.Optimizer:
    """The task's optimiser for a network's parameters. Every group gets its rate as `base_lr`.

    Args:
        task: whose optimiser, by name or as a function.
        model: whose parameters.
        graphed: for steps that are recorded as CUDA graphs: rate and step count are tensors on the device.

    Raises:
        TaskError: a callable that fails, or returns no optimiser.
    """
    made = _named(task, model, graphed) if isinstance(task.optimizer, str) else _called(task.optimizer, model)
    if not isinstance(made, torch.optim.Optimizer):
        raise TaskError(f"optimizer returned {type(made).__name__}", "it must return a torch.optim.Optimizer")
    for group in made.param_groups:
        group["base_lr"] = float(group["lr"])
    return made


def is_of_torch(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it is one of torch's own: what these remember is all in their state by parameter, as snapshots keep it.

    Others keep step counts and estimates in their groups or anywhere.
    """
    return type(optimizer).__module__.startswith("torch.optim.")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set every group to `rate` times its own base; a rate that is a tensor is written to, as a recorded step reads it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(group["base_lr"] * rate)
        else:
            group["lr"] = group["base_lr"] * rate


def _called(make: MakeOptimizer, model: nn.Module) -> object:
    try:
        return make(model.parameters())
    except Exception as problem:
        raise TaskError(f"optimizer: making it failed: {type(problem).__name__}: {problem}") from problem


def _named(task: Task, model: nn.Module, graphed: bool) -> torch.optim.Optimizer:
    kwargs: dict[str, Any] = {"lr": task.lr, "weight_decay": task.weight_decay}
    kwargs["fused" if task.optimizer in FUSED else "foreach"] = True
    if graphed:
        device = next(model.parameters()).device
        kwargs |= {"lr": torch.tensor(task.lr, device=device), "capturable": device.type == "cuda"}
    parameters = model.parameters()
    match task.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=task.momentum, **kwargs)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, momentum=task.momentum, **kwargs)
        case "adamw":
            return torch.optim.AdamW(parameters, **kwargs)
        case "nadam":
            return torch.optim.NAdam(parameters, **kwargs)
        case "adagrad":
            return torch.optim.Adagrad(parameters, **kwargs)
    return torch.optim.Adam(parameters, **kwargs)

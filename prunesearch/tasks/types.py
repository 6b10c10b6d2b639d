"""The types of a task's parts. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

Batch = tuple[torch.Tensor, torch.Tensor]
"""Inputs (b, ...) and targets (b, ...)."""
Source = tuple[Any, Any] | Dataset[Any] | Callable[[], DataLoader[Any]]
"""Data of one split: a pair of tensors or arrays, a map-style data set, or a maker of loaders."""
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs, targets) -> mean loss, scalar."""
Metric = Callable[[torch.Tensor, torch.Tensor], float]
"""(outputs, targets) of a whole split -> number."""
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""(inputs of a batch, generator on their device) -> inputs."""
TrainEpoch = Callable[[nn.Module, Iterable[Batch], torch.optim.Optimizer], float]
"""(model, batches, optimizer) -> mean loss."""
Evaluate = Callable[[nn.Module, Iterable[Batch]], float]
"""(model, batches) -> metric."""
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
"""Parameters -> optimiser."""

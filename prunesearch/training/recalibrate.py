"""Norm statistics anew after a cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunesearch.tasks.types import Batch


def recalibrate(model: nn.Module, batches: Iterable[Batch], count: int) -> bool:
    """Replace the running mean and variance of all batch norms by their averages over `count` batches.

    Only the batch norms are in training mode meanwhile, so that dropout draws nothing.

    Args:
        model: on its device; left in eval mode.
        batches: training batches.
        count: how many of them are used.

    Returns:
        Whether there was anything to do.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms or count < 1:
        return False
    model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average over all batches, not the moving one
        norm.train()
    with torch.no_grad():
        for x, _ in islice(batches, count):
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
    return True

"""Losses by name."""

from __future__ import annotations

import torch
from torch.nn import functional

from prunesearch.tasks.types import Loss


def make_loss(loss: str | Loss) -> Loss:
    """`(outputs, targets) -> mean loss`, scalar; a callable as it is.

    Regression losses and `bce_with_logits` take targets of the outputs' shape, and (n,) for outputs (n, 1).
    """
    if not isinstance(loss, str):
        return loss
    match loss:
        case "cross_entropy":
            return functional.cross_entropy
        case "nll":
            return functional.nll_loss
        case "mse":
            return _aligned(functional.mse_loss)
        case "l1":
            return _aligned(functional.l1_loss)
        case "smooth_l1":
            return _aligned(functional.smooth_l1_loss)
    return _aligned(functional.binary_cross_entropy_with_logits)


def _aligned(loss: Loss) -> Loss:
    def of_shape(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return loss(outputs, targets.to(outputs.dtype).view_as(outputs))

    return of_shape

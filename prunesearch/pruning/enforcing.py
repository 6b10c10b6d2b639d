"""Masks in force: held after every step, in weights, gradients and moments alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from prunesearch.pruning.masks import multiply
from prunesearch.pruning.recovery import mask_moments


class Enforcer:
    """Holds one network's masks while it trains.

    Gradients are masked when the optimiser is about to step, so that moments gather nothing where the masks are zero;
    weights after it, whatever the optimiser did.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer | None) -> None:
        self._parameters = dict(model.named_parameters())
        self._optimizer = optimizer
        self._tensors: list[torch.Tensor] = []
        self._masks: list[torch.Tensor] = []
        self._hook = optimizer.register_step_pre_hook(self._before_step) if optimizer else None

    def hold(self, masks: Mapping[str, torch.Tensor]) -> None:
        """Hold these masks from now on, in place of earlier ones, and zero weights, gradients and moments there."""
        self._tensors, self._masks = [self._parameters[name] for name in masks], list(masks.values())
        self.hold_weights()
        self._hold_gradients()
        if self._optimizer is not None:
            mask_moments(self._optimizer, self._tensors, self._masks)

    def hold_weights(self) -> None:
        """Zero the masked weights."""
        multiply(self._tensors, self._masks)

    def forget_moments(self) -> None:
        """The optimiser starts anew: moments and step counts are gone, learning rates stay."""
        if self._optimizer is not None:
            self._optimizer.state.clear()

    def close(self) -> None:
        """Hold nothing any more, and let go of the optimiser."""
        self._tensors, self._masks = [], []
        if self._hook is not None:
            self._hook.remove()

    def _before_step(self, _optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        self._hold_gradients()

    def _hold_gradients(self) -> None:
        pairs = [(t.grad, m) for t, m in zip(self._tensors, self._masks, strict=True) if t.grad is not None]
        multiply([grad for grad, _ in pairs], [mask for _, mask in pairs])

"""What a criterion sees and gives. It knows no epoch, no layer type, no network.

One view serves weights and units alike: the tensors of a group as matrices with one row per element that can go. For
granularity `weight` an element is one weight and a row has one entry; for units it is a neuron or filter and a row
holds everything of that tensor that belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

Role = Literal["out", "in", "bias", "norm_scale", "norm_shift"]


@dataclass(frozen=True)
class Part:
    """What one parameter tensor contributes to a group's n elements.

    Args:
        name: the parameter's name in the model.
        role: `out`: rows of the layer that produces the units (or the weights themselves); `in`: columns of a layer
            that consumes them; `bias`, `norm_scale`, `norm_shift`: what its name says.
        weight: current values, (n, m) float.
        initial: initial values, (n, m), where known.
        grad: mean gradient of the loss over the batches asked for, (n, m), where asked for.
        grad_sq: mean over those batches of the squared gradient, (n, m).
        initial_grad: mean gradient at the initial values, (n, m), where asked for.
    """

    name: str
    role: Role
    weight: torch.Tensor
    initial: torch.Tensor | None = None
    grad: torch.Tensor | None = None
    grad_sq: torch.Tensor | None = None
    initial_grad: torch.Tensor | None = None


class Score(Protocol):
    """A criterion: importance of each of a group's n elements, (n,) float; the lowest goes first."""

    def __call__(self, parts: Sequence[Part], generator: torch.Generator, /) -> torch.Tensor:
        """Score all elements.

        Args:
            parts: the group's tensors; for weights exactly one.
            generator: the only source of randomness.

        Raises:
            PolicyError: something that the criterion needs is not there.
        """
        ...

"""taylor: the squared first-order change of the loss when an element is removed (Molchanov et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, needed, own


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """(sum of w g)^2, (n,), g the mean gradient over the batches asked for.

    For a unit the sum runs over its rows, bias, norm scale and shift. With a norm in training mode the rows add
    nothing (their scale does not matter to the loss), and what remains is the gradient at a gate behind the norm.

    In float64: the product of two small numbers, squared, would be 0 in float32 below 1e-23.

    Raises:
        PolicyError: no gradients were measured.
    """
    change = [(exact(part.weight).double() * needed(part, "grad", "taylor")).sum(1) for part in own(parts, "taylor")]
    return torch.stack(change).sum(0).square()

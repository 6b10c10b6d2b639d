"""obd: the second-order change of the loss when an element is removed (LeCun et al. 1990, diagonal Fisher)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, needed, own


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """Sum of w^2 h / 2, (n,), h the mean of the squared gradient over the batches asked for.

    For a unit the sum runs over its rows, bias, norm scale and shift. In float64, as for taylor.

    Raises:
        PolicyError: no squared gradients were measured.
    """
    change = [(exact(part.weight).double().square() * needed(part, "grad_sq", "obd")).sum(1) / 2 for part in own(parts, "obd")]
    return torch.stack(change).sum(0)

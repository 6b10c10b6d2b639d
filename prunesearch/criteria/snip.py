"""snip: connection sensitivity before any training (Lee et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import needed, single


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|w0 g0|, (n,): initial values times the mean gradient there. The paper's division by the sum keeps the order.

    Raises:
        PolicyError: initial values or the gradients there are missing, or the group is one of units.
    """
    part = single(parts, "snip")
    return (needed(part, "initial", "snip").double() * needed(part, "initial_grad", "snip")).abs().sum(1)

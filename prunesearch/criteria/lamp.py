"""lamp: magnitudes that can be compared across layers (Lee et al. 2021, layer-adaptive magnitude pruning)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, single


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """w^2 over the sum of the w^2 of the layer that are not smaller, itself included, (n,), in [0, 1].

    Of equal weights the earlier one has the smaller score, so that within a layer the order is that of |w|, ties by
    index. In float64: 25 million squares are summed.

    Raises:
        PolicyError: the group is one of units.
    """
    square = exact(single(parts, "lamp").weight).double().square().sum(1)
    ordered, index = square.sort(stable=True)
    left = ordered.flip(0).cumsum(0).flip(0)
    ratio = torch.where(left > 0, ordered / left, 0.0)  # a layer of zeros: 0, not 0 / 0
    return torch.empty_like(ratio).scatter_(0, index, ratio)

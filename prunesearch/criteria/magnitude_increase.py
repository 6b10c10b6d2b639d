"""magnitude_increase: how much a weight has grown since it was drawn (Zhou et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, needed, single


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|w| - |w0|, (n,); negative where a weight shrank.

    Raises:
        PolicyError: the initial values are missing, or the group is one of units.
    """
    part = single(parts, "magnitude_increase")
    return (exact(part.weight).abs() - needed(part, "initial", "magnitude_increase").abs()).sum(1)

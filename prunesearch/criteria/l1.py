"""l1: sum of |w| over an element's weights (Han et al. 2015 for weights, Li et al. 2016 for filters)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, rows


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|w| of a weight; for a unit the sum of |w| over the rows of all layers that produce it, (n,)."""
    return torch.stack([exact(part.weight).abs().sum(1) for part in rows(parts, "l1")]).sum(0)

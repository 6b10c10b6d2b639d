"""fpgm: units near the geometric median of their group go, for the others can stand in (He et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, rows


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """Sum of Euclidean distances from a unit's weights to those of all other units of its group, (n,).

    In float64: the distances come from one matrix product, whose rounding in float32 shows between two
    equal units as a distance of up to 1e-3 of their norm (400 units of 576 weights), in float64 of 1e-7.
    """
    weight = torch.cat([exact(part.weight) for part in rows(parts, "fpgm")], 1).double()
    return torch.cdist(weight, weight).sum(1)

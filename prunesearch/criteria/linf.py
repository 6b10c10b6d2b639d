"""linf: largest |w| of an element's weights (torch.nn.utils.prune.ln_structured with n = inf)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, rows


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|w| of a weight; for a unit the largest |w| in the rows of all layers that produce it, (n,)."""
    return torch.stack([exact(part.weight).abs().amax(1) for part in rows(parts, "linf")]).amax(0)

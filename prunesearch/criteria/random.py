"""random: uniform random numbers, the control that every other criterion has to beat (Blalock et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import rows


def score(parts: Sequence[Part], generator: torch.Generator) -> torch.Tensor:
    """Uniform in [0, 1), (n,), drawn where the generator lives and moved to the weights."""
    weight = rows(parts, "random")[0].weight
    return torch.rand(len(weight), generator=generator, device=generator.device).to(weight.device)

"""bn_scale: |gamma| of the norm behind a unit (Liu et al. 2017, network slimming)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact
from prunesearch.errors import PolicyError


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|gamma|, (n,); the mean where several norms follow the unit, as at a residual sum.

    Raises:
        PolicyError: no norm with a scale follows the units.
    """
    scales = [exact(part.weight).abs().sum(1) for part in parts if part.role == "norm_scale"]
    if not scales:
        name = parts[0].name if parts else "an empty group"
        raise PolicyError(
            f"criterion 'bn_scale' needs a norm layer behind the units of '{name}', and there is none",
            "use another criterion, or spare this group",
        )
    return torch.stack(scales).mean(0)

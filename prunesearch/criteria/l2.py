"""l2: root of the sum of w^2 over an element's weights (the Keras and NeuralNetPruning systems: column norms)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prunesearch.criteria.base import Part
from prunesearch.criteria.views import exact, rows


def score(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    """|w| of a weight; for a unit the Euclidean norm over the rows of all layers that produce it, (n,)."""
    norm: torch.Tensor = torch.linalg.vector_norm(torch.cat([exact(part.weight) for part in rows(parts, "l2")], 1), dim=1)
    return norm

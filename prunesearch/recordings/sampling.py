"""Which units stand for a wide layer, in recordings of large networks and in pictures of any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prunesearch.recordings.packing import Mask

WHOLE = 1_000_000
"""Parameters up to which a network is recorded whole: 4 MB per epoch."""
WIDTH = 64
"""Units of a layer that are recorded of larger networks, and drawn of any."""
Sides = tuple[Mask, Mask]
"""Of a parameter's first and of its second dimension, every place, sampled or not."""


def sampled(width: int, limit: int = WIDTH) -> NDArray[np.int64]:
    """Positions of at most `limit` of `width` units, ascending; all where they are few enough.

    The draw depends on the width alone, so that the outputs of one layer and the inputs of the next are the same units.
    """
    if width <= limit:
        return np.arange(width)
    return np.sort(np.random.default_rng(width).choice(width, limit, replace=False))


def cut_out(tensor: NDArray[np.generic], limit: int = WIDTH) -> NDArray[np.generic]:
    """The sampled outputs (first dimension) and inputs (second dimension) of a parameter."""
    for dim in range(min(2, tensor.ndim)):
        tensor = tensor.take(sampled(tensor.shape[dim], limit), axis=dim)
    return tensor


def sides(mask: Mask) -> Sides:
    """Where anything is left along the first and along the second dimension of two or more: what a sample cannot tell."""
    rows, columns = mask.any(axis=tuple(range(1, mask.ndim))), mask.any(axis=(0, *range(2, mask.ndim)))
    return np.asarray(rows), np.asarray(columns)

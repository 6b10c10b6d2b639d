"""Masks with one bit per weight."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def pack(mask: Mask) -> Bits:
    """The mask's bits in C order, eight to a byte, the first one highest; the last byte is filled up with zeros."""
    return np.packbits(mask.ravel())


def unpack(bits: Bits, shape: tuple[int, ...]) -> Mask:
    """The mask of a shape from its bits.

    Raises:
        ValueError: there are not as many bytes as the shape needs.
    """
    if bits.dtype != np.uint8 or bits.shape != (-(-prod(shape) // 8),):
        raise ValueError(f"{bits.shape} {bits.dtype} is no mask of shape {shape}")
    return np.unpackbits(bits, count=prod(shape)).astype(np.bool_).reshape(shape)

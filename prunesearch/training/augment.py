"""Batched augmentation of resident images: which pixels of which image a batch consists of, in one gather."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import torch

from prunesearch.training.seeding import generator

MARGINS: Mapping[str, int] = MappingProxyType({"crop": 4, "shift": 2})
"""Pixels of zeros around an image from which a crop of the old size is taken: `crop` as in He et al. 2016, section 4.2;
`shift` for digits, which four pixels would push out of their frame."""


def margin(kinds: Iterable[str]) -> int:
    """Pixels of zeros around an image, 0 where none of the kinds crops."""
    return max((MARGINS.get(kind, 0) for kind in kinds), default=0)


class Crops:
    """Random crops and horizontal flips of one epoch, drawn at once.

    Args:
        count: examples of the epoch.
        size: height and width of an example, without padding.
        kinds: names of `AUGMENTATIONS`.
        seed: of the trial.
        epoch: whose draws these are.
        device: where the data lies.
    """

    def __init__(
        self, count: int, size: tuple[int, int], kinds: tuple[str, ...], seed: int, epoch: int, device: torch.device
    ) -> None:
        drawn, (height, width) = generator(seed, "augment", epoch), size
        span = 2 * margin(kinds) + 1
        down, right = (torch.randint(span, (count, 1), generator=drawn) for _ in range(2))
        flip = torch.randint(2 if "flip" in kinds else 1, (count, 1), generator=drawn)
        columns = torch.arange(width)
        self._rows = (down + torch.arange(height)).to(device)
        self._columns = (right + torch.where(flip == 1, columns.flip(0), columns)).to(device)

    def take(self, padded: torch.Tensor, index: torch.Tensor, first: int) -> torch.Tensor:
        """A batch of augmented images.

        Args:
            padded: all images, (n, height + 2 p, width + 2 p, channels), p their `margin`.
            index: which images, (b,).
            first: place of the batch's first example in the epoch.

        Returns:
            (b, height, width, channels).
        """
        rows, columns = (t[first : first + len(index)] for t in (self._rows, self._columns))
        return padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]


def pad(images: torch.Tensor, p: int) -> torch.Tensor:
    """(n, h, w, c) -> (n, h + 2 p, w + 2 p, c), zeros around: the very memory that the images lie in, where they lie so."""
    if not p:
        return images
    around = _surroundings(images, p)
    if around is not None:
        return around
    n, height, width, channels = images.shape
    padded = images.new_zeros(n, height + 2 * p, width + 2 * p, channels)
    unpadded(padded, p).copy_(images)
    return padded


def unpadded(padded: torch.Tensor, p: int) -> torch.Tensor:
    """The images within `pad(images, p)`, as a view."""
    return padded[:, p:-p, p:-p] if p else padded


def _surroundings(images: torch.Tensor, p: int) -> torch.Tensor | None:
    """The images with `p` pixels of what lies around them in memory, where these are there and all of them zero."""
    n, height, width, channels = images.shape
    shape = (n, height + 2 * p, width + 2 * p, channels)
    strides = (shape[1] * shape[2] * channels, shape[2] * channels, channels, 1)
    first = images.storage_offset() - p * (strides[1] + strides[2])
    held = images.untyped_storage().nbytes() // images.element_size()
    if images.stride() != strides or first < 0 or first + n * strides[0] > held:
        return None
    whole = images.as_strided(shape, strides, first)
    edges = (whole[:, :p], whole[:, -p:], whole[:, p:-p, :p], whole[:, p:-p, -p:])
    return None if any(bool(edge.any()) for edge in edges) else whole

"""Batched augmentation of resident images: which pixels of which image a batch consists of, in one gather."""

from __future__ import annotations

import torch

from prunesearch.training.seeding import generator

PADDING = 4
"""Pixels of zeros around an image from which a crop of the old size is taken (He et al. 2016, section 4.2)."""


class Crops:
    """Random crops and horizontal flips of one epoch, drawn at once.

    Args:
        count: examples of the epoch.
        size: height and width of an example, without padding.
        kinds: `crop`, `flip` or both.
        seed: of the trial.
        epoch: whose draws these are.
        device: where the data lies.
    """

    def __init__(
        self, count: int, size: tuple[int, int], kinds: tuple[str, ...], seed: int, epoch: int, device: torch.device
    ) -> None:
        drawn, (height, width) = generator(seed, "augment", epoch), size
        span = 2 * PADDING + 1 if "crop" in kinds else 1
        down, right = (torch.randint(span, (count, 1), generator=drawn) for _ in range(2))
        flip = torch.randint(2 if "flip" in kinds else 1, (count, 1), generator=drawn)
        columns = torch.arange(width)
        self._rows = (down + torch.arange(height)).to(device)
        self._columns = (right + torch.where(flip == 1, columns.flip(0), columns)).to(device)

    def take(self, padded: torch.Tensor, index: torch.Tensor, first: int) -> torch.Tensor:
        """A batch of augmented images.

        Args:
            padded: all images, (n, height + 2 p, width + 2 p, channels), p = PADDING with `crop`, else 0.
            index: which images, (b,).
            first: place of the batch's first example in the epoch.

        Returns:
            (b, height, width, channels).
        """
        rows, columns = (t[first : first + len(index)] for t in (self._rows, self._columns))
        return padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]


def pad(images: torch.Tensor, kinds: tuple[str, ...]) -> torch.Tensor:
    """(n, h, w, c) -> (n, h + 2 p, w + 2 p, c), zeros around, where `crop` is among the kinds."""
    if "crop" not in kinds:
        return images
    n, height, width, channels = images.shape
    padded = images.new_zeros(n, height + 2 * PADDING, width + 2 * PADDING, channels)
    padded[:, PADDING:-PADDING, PADDING:-PADDING] = images
    return padded


def unpadded(padded: torch.Tensor, kinds: tuple[str, ...]) -> torch.Tensor:
    """The images within `pad(images, kinds)`, as a view."""
    return padded[:, PADDING:-PADDING, PADDING:-PADDING] if "crop" in kinds else padded

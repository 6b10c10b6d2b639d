"""The filters of a convolutional network as images; removed ones fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from prunesearch.animate.frames import INK, SOFT, WEIGHTS, Box, axes, say
from prunesearch.errors import UsageError
from prunesearch.recordings import Recording
from prunesearch.recordings.reading import Layer, Tensors
from prunesearch.recordings.sampling import sides

LAYERS, ACROSS, DOWN = 3, 32, 6
"""Layers, filters of a layer and input channels of a filter that are drawn at most."""
FADED = 0.13
"""How much of its colour a removed kernel keeps."""
TILE = 0.46
"""Inches of a kernel at most."""


@dataclass(frozen=True)
class Sheet:
    """One layer's kernels in all frames.

    Args:
        layer: which.
        values: (frames, filters, channels, height, width); of removed kernels those that they had last.
        left: which weights are left, of the same shape.
        filters: filters that the layer has, drawn or not.
        channels: input channels that a filter has, drawn or not.
        living: per frame which filters keep any weight, drawn or not; in old samples only those of the sample are known.
    """

    layer: Layer
    values: NDArray[np.float32]
    left: NDArray[np.bool_]
    filters: int
    channels: int
    living: tuple[NDArray[np.bool_], ...]

    @property
    def tile(self) -> float:
        """Inches of a kernel with its margin."""
        return min(TILE, 7.6 / int(self.values.shape[1]), 1.6 / int(self.values.shape[2]))

    @property
    def height(self) -> float:
        """Inches, title and margin among them."""
        return self.tile * int(self.values.shape[2]) + 0.55


@dataclass(frozen=True)
class Filters:
    """Kernels of the first convolutions of a recording: a column per filter, a row per input channel.

    Raises:
        UsageError: the network has no two-dimensional convolution.
    """

    recording: Recording

    def __post_init__(self) -> None:
        if not self._layers:
            task = self.recording.about["task"]
            raise UsageError(
                f"filters: the network of '{task}' has no two-dimensional convolution", "draw --what network or weights"
            )

    @property
    def height(self) -> float:
        """Inches."""
        return 0.1 + sum(sheet.height for sheet in self.sheets)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the rows are, and what was left out."""
        found = ["A column is a filter, a row an input channel. What was removed fades; single weights that are gone are white."]
        few = [s for s in self.sheets if s.values.shape[1] < s.filters or s.values.shape[2] < s.channels]
        if few:
            told = ", ".join(
                f"{s.layer.name} {s.values.shape[1]} of {s.filters} filters, {s.values.shape[2]} of {s.channels} channels"
                for s in few
            )
            found.append(f"Not all are drawn: {told}.")
        if len(self._layers) > LAYERS:
            found.append(f"The other {len(self._layers) - LAYERS} convolutions are left out for want of room.")
        return tuple(found)

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        """One per layer."""
        return tuple(self._sheet(layer) for layer in self._layers[:LAYERS])

    def draw(self, figure: Figure, box: Box, at: int) -> None:
        """The frame `at`."""
        top = box[1] + box[3] - 0.05
        for sheet in self.sheets:
            self._draw_sheet(figure, sheet, (box[0] + 0.25, top), at)
            top -= sheet.height

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return tuple(x for x in self.recording.layers if x.conv and len(self.recording.shape(x.weight)) == 4)

    def _sheet(self, layer: Layer) -> Sheet:
        values, left, living = [], [], []
        for state in self.recording.frames:
            tensors = self.recording.tensors(state)
            swap = (1, 0, 2, 3) if layer.transposed else (0, 1, 2, 3)
            values.append(tensors.values[layer.weight].transpose(swap)[:ACROSS, :DOWN])
            left.append(tensors.left(layer.weight).transpose(swap)[:ACROSS, :DOWN])
            living.append(_living(tensors, layer, self.recording.shape(layer.weight)))
        shape = self.recording.shape(layer.weight)
        filters, channels = (shape[1], shape[0]) if layer.transposed else (shape[0], shape[1])
        return Sheet(layer, _remembered(np.stack(values), np.stack(left)), np.stack(left), filters, channels, tuple(living))

    def _draw_sheet(self, figure: Figure, sheet: Sheet, corner: tuple[float, float], at: int) -> None:
        x, y = corner
        _, count, channels = sheet.values.shape[:3]
        living = sheet.living[at]
        say(figure, x, y - 0.14, sheet.layer.name, size=10, weight="bold")
        told = f"{living.size} filters" if living.all() else f"{living.sum()} of {living.size} filters left"
        left, total = self.recording.counts(self.recording.frames[at], sheet.layer.weight)
        say(
            figure,
            x + 0.15 + max(0.6, 0.12 * len(sheet.layer.name)),
            y - 0.14,
            f"{told}, {left:,} of {total:,} weights",
            size=8,
            color=SOFT,
        )
        high = sheet.tile * channels
        scale = float(np.percentile(np.abs(sheet.values), 99.5)) or 1.0
        ground = axes(figure, (x, y - 0.32 - high, sheet.tile * count, high))
        ground.imshow(_mosaic(sheet, at, scale), aspect="auto", interpolation="nearest")
        ground.axis("off")
        bar = figure.colorbar(
            ScalarMappable(Normalize(-scale, scale), WEIGHTS),
            cax=axes(figure, (8.25, y - 0.32 - max(high, 0.4), 0.1, max(high, 0.4))),
            ticks=[-scale, 0, scale],
            extend="both",
        )
        bar.ax.set_yticklabels([f"{-scale:.2g}", "0", f"{scale:.2g}"])
        bar.ax.tick_params(labelsize=6.5, colors=INK, length=2)
        bar.outline.set_visible(False)


def _living(tensors: Tensors, layer: Layer, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which filters keep any weight at all, in channels that are not drawn too."""
    along = 1 if layer.transposed else 0
    kept = tensors.kept.get(layer.weight)
    if kept is None:
        return np.ones(shape[along], np.bool_)
    return (tensors.sides.get(layer.weight) or sides(kept))[along]


def _remembered(values: NDArray[np.float32], left: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Kernels that are gone keep the values that they had last."""
    kept = values.copy()
    for frame in range(1, len(kept)):
        gone = ~left[frame].any(axis=(2, 3))
        kept[frame][gone] = kept[frame - 1][gone]
    return kept


def _mosaic(sheet: Sheet, at: int, scale: float) -> NDArray[np.float64]:
    """The kernels as one RGB image: a pixel per weight and a white one between kernels."""
    values, left = sheet.values[at], sheet.left[at]
    count, channels, high, wide = values.shape
    image = np.ones((channels * (high + 1), count * (wide + 1), 3))
    for unit in range(count):
        for channel in range(channels):
            colours = WEIGHTS(Normalize(-scale, scale)(values[unit, channel]))[..., :3]
            alive = left[unit, channel]
            share = alive[..., None].astype(float) if alive.any() else np.full((high, wide, 1), FADED)
            y, x = channel * (high + 1), unit * (wide + 1)
            image[y : y + high, x : x + wide] = share * colours + (1 - share)
    return image

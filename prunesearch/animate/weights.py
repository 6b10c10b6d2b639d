"""Each layer's weight distribution: those that are left, above what the network started from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from prunesearch.animate.frames import BAR, FAINT, INK, SOFT, START, Box, axes
from prunesearch.errors import UsageError
from prunesearch.recordings import Recording, State
from prunesearch.recordings.reading import Layer

PANELS, ACROSS = 12, 4
"""Layers that are drawn at most, and panels in a row."""


@dataclass(frozen=True)
class Panel:
    """What stays the same in a layer's panel.

    Args:
        layer: whose weights.
        edges: of the bars.
        start: bars before the first step.
        top: of the axis of counts.
    """

    layer: Layer
    edges: NDArray[np.float64]
    start: NDArray[np.int64]
    top: float


@dataclass(frozen=True)
class Weights:
    """Histograms of a recording, on an axis of counts that is logarithmic: few large weights show beside many small ones.

    Raises:
        UsageError: the network has no Linear or Conv layer.
    """

    recording: Recording

    def __post_init__(self) -> None:
        if not self.recording.layers:
            raise UsageError("weights: the recorded network has no Linear or Conv layer")

    @property
    def height(self) -> float:
        """Inches."""
        return 0.35 + (2.6 if self._rows == 1 else 1.75) * self._rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What was sampled or left out, and what is drawn."""
        found = ["Weights that were pruned are counted and not drawn; the grey line is the network before its first step."]
        if self.recording.sampled:
            found.append("The bars are of a sample of every layer, picked with a fixed seed; the numbers are of all weights.")
        if len(self.recording.layers) > PANELS:
            found.append(f"The last {len(self.recording.layers) - PANELS} layers are left out for want of room.")
        return tuple(found)

    @cached_property
    def panels(self) -> tuple[Panel, ...]:
        """One per layer, with axes that fit all frames."""
        return tuple(self._panel(layer) for layer in self.recording.layers[:PANELS])

    def draw(self, figure: Figure, box: Box, at: int) -> None:
        """The frame `at`."""
        state = self.recording.frames[at]
        tensors = self.recording.tensors(state)
        across = min(ACROSS, len(self.panels))
        wide, high = (box[2] - 0.5) / across, (box[3] - 0.1) / self._rows
        for place, panel in enumerate(self.panels):
            row, column = divmod(place, across)
            left, bottom = box[0] + 0.25 + wide * column, box[1] + high * (self._rows - 1 - row)
            ground = axes(figure, (left + 0.42, bottom + 0.42, wide - 0.6, high - 0.95))
            values = tensors.values[panel.layer.weight][tensors.left(panel.layer.weight)]
            self._bars(ground, panel, values, state)

    @property
    def _rows(self) -> int:
        return ceil(min(PANELS, len(self.recording.layers)) / ACROSS)

    def _bars(self, ground: Axes, panel: Panel, values: NDArray[np.float32], state: State) -> None:
        counts = np.histogram(values, panel.edges)[0]
        ground.stairs(counts, panel.edges, fill=True, color=BAR)
        ground.stairs(panel.start, panel.edges, color=START, lw=1.0)
        ground.axvline(0, color=FAINT, lw=0.8, zorder=0)
        ground.set_yscale("log")
        ground.set(ylim=(0.7, panel.top), xlim=(panel.edges[0], panel.edges[-1]))
        ground.minorticks_off()
        ground.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ground.tick_params(labelsize=7, colors=SOFT, length=2)
        ground.locator_params(axis="x", nbins=5)
        ground.spines[["top", "right"]].set_visible(False)
        ground.spines[["left", "bottom"]].set_color(FAINT)
        left, total = self.recording.counts(state, panel.layer.weight)
        ground.set_title(panel.layer.name, fontsize=10, fontweight="bold", color=INK, loc="left", pad=18)
        told = f"{left:,} weights, {total - left:,} pruned"
        ground.text(0, 1.04, told, transform=ground.transAxes, fontsize=7.5, color=SOFT, va="bottom")

    def _panel(self, layer: Layer) -> Panel:
        frames = [self.recording.tensors(s) for s in self.recording.frames]
        every = [t.values[layer.weight][t.left(layer.weight)] for t in frames]
        reach = max((float(np.abs(v).max()) for v in every if v.size), default=1.0) or 1.0
        edges = np.linspace(-reach, reach, 2 * int(np.clip(every[0].size / 8, 8, 30)) + 2)
        top = max(int(np.histogram(v, edges)[0].max()) for v in every)
        return Panel(layer, edges, np.histogram(every[0], edges)[0], 1.6 * max(1, top))

"""The network as nodes and edges: what is removed is not there, and units that lost everything fade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from prunesearch.animate.connections import Chain, Column, Link, Mask, Places, alive
from prunesearch.animate.frames import INK, SOFT, WEIGHTS, Box, axes, say
from prunesearch.recordings import Recording, State
from prunesearch.recordings.sampling import WIDTH

PERCENTILE = 98.0
"""Of the sizes of a layer's weights: where the colours end."""


@dataclass(frozen=True)
class Network:
    """Nodes and edges of a recording."""

    recording: Recording

    @property
    def height(self) -> float:
        """Inches."""
        return 4.3

    @cached_property
    def chain(self) -> Chain:
        """What is drawn."""
        return Chain.of(self.recording)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was sampled or left out."""
        chain, found = self.chain, []
        few = [f"{len(c.shown)} of {c.units:,} ({c.name})" for c in chain.columns if len(c.shown) < c.units]
        if few:
            found.append(f"At most {WIDTH} units of a layer are drawn, picked with a fixed seed: {', '.join(few)}.")
        if any(layer.conv for layer in chain.layers):
            found.append(
                "An edge between channels has the colour of the largest weight of its kernel, and is there while any weight is."
            )
        if chain.skipped:
            found.append(f"Left out, for they do not follow the layer before them: {_some(chain.skipped)}.")
        if chain.beyond:
            found.append(f"The last {chain.beyond} layers are left out for want of room.")
        return tuple(found)

    @cached_property
    def scale(self) -> float:
        """The size of weight at which the colours end, the same in all frames: the layers' geometric mean."""
        return max(self._reach(self.recording.frames[0]), self._reach(self.recording.frames[-1])) or 1.0

    def _reach(self, state: State) -> float:
        links = self.chain.links(self.recording, self.recording.tensors(state))
        sizes = [np.abs(link.weight[link.left]) for link in links]
        ends = [float(np.percentile(s, PERCENTILE)) for s in sizes if s.any()]
        return float(np.exp(np.mean(np.log(ends)))) if ends else 0.0

    def draw(self, figure: Figure, box: Box, at: int) -> None:
        """The frame `at`."""
        left, bottom, width, height = box
        ground = axes(figure, (left + 0.25, bottom + 0.52, width - 1.35, height - 0.6))
        ground.set(xlim=(-0.18, len(self.chain.layers) + 0.18), ylim=(-0.03, 1.03))
        ground.axis("off")
        links = self.chain.links(self.recording, self.recording.tensors(self.recording.frames[at]))
        living = alive(self.chain, links)
        for place, link in enumerate(links):
            self._edges(ground, place, link)
        for place, (column, lives) in enumerate(zip(self.chain.columns, living, strict=True)):
            _nodes(ground, place, column, lives)
            pitch = (width - 1.35) / (len(self.chain.layers) + 0.36)
            _label(figure, (left + 0.25 + pitch * (place + 0.18), bottom + 0.36), pitch, column, lives)
        self._bar(figure, (left + width - 0.82, bottom + 0.95, 0.13, height - 1.5))

    def _edges(self, ground: Axes, place: int, link: Link) -> None:
        """The edges that are left, the strongest on top."""
        before, after = self.chain.columns[place], self.chain.columns[place + 1]
        rows, columns = _where(after), _where(before)
        weight, left = link.weight[np.ix_(rows, columns)], link.left[np.ix_(rows, columns)]
        out, into = np.nonzero(left)
        values = weight[out, into]
        if not values.size:
            return  # matplotlib draws no collection of nothing with an alpha for each
        order = np.argsort(np.abs(values))
        start = np.stack([np.full(len(into), place), heights(before)[into]], axis=1)
        end = np.stack([np.full(len(out), place + 1), heights(after)[out]], axis=1)
        strength = np.minimum(np.abs(values[order]) / self.scale, 1.0)
        crowd = float(np.clip((100 / max(1, len(values))) ** 0.5, 0.2, 1.0))
        lines = LineCollection(
            list(np.stack([start, end], axis=1)[order]),
            array=values[order],
            cmap=WEIGHTS,
            norm=Normalize(-self.scale, self.scale),
            linewidths=0.2 + 0.4 * crowd + (0.4 + 1.5 * crowd) * strength,
            alpha=np.clip(0.25 + 0.3 * crowd + 0.55 * strength, 0, 1),
            zorder=1,
        )
        ground.add_collection(lines, autolim=False)

    def _bar(self, figure: Figure, box: Box) -> None:
        shown = ScalarMappable(Normalize(-self.scale, self.scale), WEIGHTS)
        bar = figure.colorbar(shown, cax=axes(figure, box), extend="both", ticks=[-self.scale, 0, self.scale])
        bar.ax.set_yticklabels([f"{-self.scale:.2g}", "0", f"{self.scale:.2g}"])
        bar.ax.tick_params(labelsize=7.5, colors=SOFT, length=2)
        bar.outline.set_visible(False)
        say(figure, box[0] + box[2] / 2, box[1] + box[3] + 0.28, "weight", size=8, color=SOFT, ha="center")


def heights(column: Column) -> NDArray[np.float64]:
    """Where the units of a column stand, from 1 at the top to 0: no further apart than a ninth."""
    count = len(column.shown)
    apart = min(1 / max(1, count - 1), 1 / 9)
    return 0.5 + apart * ((count - 1) / 2 - np.arange(count, dtype=np.float64))


def _where(column: Column) -> Places:
    """The places of the units that are drawn among those that are known."""
    return np.searchsorted(column.known, column.shown)


def _nodes(ground: Axes, place: int, column: Column, lives: Mask) -> None:
    shown, y = lives[_where(column)], heights(column)
    size = float(np.clip(1500 / len(y), 9, 90))
    x = np.full(len(y), place)
    ground.scatter(x[shown], y[shown], s=size, c=INK, linewidths=0, zorder=3)
    ground.scatter(x[~shown], y[~shown], s=size, c="white", edgecolors="#b4bcc4", linewidths=0.8, zorder=2)


def _label(figure: Figure, at: tuple[float, float], pitch: float, column: Column, lives: Mask) -> None:
    """Name and units of a column; smaller, and of a long name the end, where columns are close."""
    left, close = int(lives.sum()), pitch < 1.1
    told = f"{left:,} of {len(lives):,}" if left < len(lives) else f"{len(lives):,}"
    word = "" if close else " unit" if column.units == 1 else " units"
    sample = " (sample)" if len(lives) < column.units and not close else ""
    size, room = (7.0, int(pitch / 0.09)) if close else (9.0, int(pitch / 0.105))
    name = column.name if len(column.name) <= room else "…" + column.name[1 - room :].lstrip(".")
    say(figure, at[0], at[1], name, size=size, ha="center", weight="bold")
    say(figure, at[0], at[1] - 0.19, f"{told}{word}{sample}", size=7 if close else 8, ha="center", color=SOFT)


def _some(names: tuple[str, ...], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

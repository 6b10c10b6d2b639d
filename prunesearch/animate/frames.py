"""What all pictures have in common: size, title, the epoch's figures in the corner, a strip of all epochs, remarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from prunesearch.recordings import Recording, State
from prunesearch.report.words import number, policy_words

Image = NDArray[np.uint8]
"""(height, width, 3)."""
Box = tuple[float, float, float, float]
"""Left, bottom, width and height, in inches."""

INCHES = 9.0
"""Width of every figure; `width` pixels are so many dots per inch."""
INK, SOFT, FAINT = "#1f2933", "#6b7682", "#d5dade"
ACCURACY, SPARSITY = "#1b7f5c", "#a85b12"
FILL = 0.16
"""How much of its colour an area has."""
BAR, START = "#3b7dbf", "#9aa5b1"
"""Of histograms: weights as they are, and as they were before the first step."""
WEIGHTS = LinearSegmentedColormap.from_list("weights", ["#0b4a8f", "#4f8fcb", "#d9dcdf", "#e0765a", "#9e1b1b"])
"""Negative to positive; zero is grey, so that it can be told from what is not there."""
HEAD, STRIP = 0.95, 0.72
"""Inches of the title and its figures, and of the strip of epochs with its labels."""
LINE = 0.17
"""Inches of a line of remarks."""


class Scene(Protocol):
    """What one kind of picture shows of a recording."""

    @property
    def height(self) -> float:
        """Inches that it takes."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know: what was sampled, what was left out."""
        ...

    def draw(self, figure: Figure, box: Box, at: int) -> None:
        """Draw one of the recording's frames into a box of the figure."""
        ...


@dataclass(frozen=True)
class Film:
    """A scene with its frame around it.

    Args:
        recording: what is shown.
        scene: how.
        width: pixels; made even, as video needs it.
    """

    recording: Recording
    scene: Scene
    width: int = 900

    def image(self, at: int) -> Image:
        """The frame `at` as pixels."""
        figure = self.figure(at)
        canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def figure(self, at: int) -> Figure:
        """The frame `at` as a figure."""
        foot = 0.12 + LINE * len(self.scene.notes)
        pixels = self.width + self.width % 2
        dpi = pixels / INCHES
        height = 2 * round((HEAD + self.scene.height + STRIP + foot) * dpi / 2) / dpi
        figure = Figure(figsize=(INCHES, height), dpi=dpi, facecolor="white")
        _head(figure, self.recording, self.recording.frames[at])
        self.scene.draw(figure, (0.0, foot + STRIP, INCHES, height - HEAD - STRIP - foot), at)
        _strip(figure, self.recording, at, foot)
        for line, note in enumerate(self.scene.notes):
            say(figure, 0.25, foot - 0.05 - LINE * (line + 0.5), note, size=7.5, color=SOFT)
        return figure


def axes(figure: Figure, box: Box) -> Axes:
    """Axes in a box of inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))


def say(figure: Figure, x: float, y: float, text: str, **how: Any) -> None:
    """Text at a place in inches, its middle at that height."""
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, **{"va": "center", "color": INK, **how})


def shortened(text: str, length: int) -> str:
    """The text, cut off where it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip(" ,") + "…"


def _head(figure: Figure, recording: Recording, state: State) -> None:
    top = float(figure.get_size_inches()[1])
    say(figure, 0.25, top - 0.30, shortened(str(recording.about["task"]), 36), size=14, weight="bold")
    did = policy_words(recording.policy) if recording.policy else "the network as it is, not pruned"
    say(figure, 0.25, top - 0.66, shortened(did, 104), size=9, color=SOFT)
    for place, (label, value) in enumerate(_figures(recording, state)):
        x = INCHES - 0.25 - 1.12 * (3 - place)
        say(figure, x, top - 0.20, label, size=7.5, color=SOFT, ha="right")
        say(figure, x, top - 0.40, value, size=12, weight="bold", ha="right", family="DejaVu Sans Mono")


def _figures(recording: Recording, state: State) -> list[tuple[str, str]]:
    measures = recording.about["measures"] or {}
    last = measures.get("accuracy") if state.kind == "final" else None
    accuracy = state.row.accuracy if state.row else last
    return [
        ("epoch", {"initial": "start", "final": "end"}.get(state.kind, str(state.epoch))),
        ("loss", number(state.row.loss if state.row else None)),
        (str(recording.about["metric"]), number(accuracy)),
        ("sparsity", f"{100 * recording.sparsity(state):.1f} %"),
    ]


def _strip(figure: Figure, recording: Recording, at: int, foot: float) -> None:
    """Metric and sparsity over all epochs, with a mark at the one that is shown."""
    frames, name = recording.frames, str(recording.about["metric"])
    epochs, rows = [s.epoch for s in frames], [(s.epoch, s.row.accuracy) for s in frames if s.row]
    sparsity = axes(figure, (1.35, foot + 0.22, INCHES - 2.85, STRIP - 0.34))
    sparsity.fill_between(epochs, [recording.sparsity(s) for s in frames], color=SPARSITY, alpha=FILL, lw=0)
    sparsity.plot(epochs, [recording.sparsity(s) for s in frames], color=SPARSITY, lw=1.2)
    sparsity.axvline(epochs[at], color=INK, lw=1.2)
    sparsity.set(xlim=(min(epochs) - 0.3, max(epochs) + 0.3), ylim=(0, 1.08), yticks=[0, 1], yticklabels=["0 %", "100 %"])
    sparsity.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    metric = sparsity.twinx()
    metric.plot([e for e, _ in rows], [a for _, a in rows], color=ACCURACY, lw=1.6)
    ends = sorted({min(a for _, a in rows), max(a for _, a in rows)}) if rows else []
    metric.set_yticks(ends, [f"{end:.3f}" for end in ends])
    for side in (sparsity, metric):
        side.tick_params(labelsize=7, colors=SOFT, length=2)
        side.spines[["top", "left", "right"]].set_visible(False)
        side.spines["bottom"].set_color(FAINT)
    middle = foot + 0.22 + (STRIP - 0.34) / 2
    say(figure, 0.25, middle, "sparsity", size=8, color=SPARSITY, weight="bold")
    say(figure, INCHES - 0.25, middle, shortened(name, 14), size=8, color=ACCURACY, ha="right", weight="bold")
    say(figure, 1.27, foot + 0.12, "epoch", size=7, color=SOFT, ha="right")

"""Pictures of docs/results.md: test accuracy against parameters, with what others have published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure, Scatter

from benchmarks.scenarios import ROOT

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 900, 500
_AT = [digit * 10**power for power in range(2, 8) for digit in (1, 2, 5)]
_TICKS = {"tickvals": _AT, "ticktext": [f"{n:,}" for n in _AT]}
LOOKS: dict[str, dict[str, Any]] = {
    "trial": {"mode": "markers", "marker": {"symbol": "circle", "size": 7, "color": "#b8c4d6"}},
    "chosen": {"mode": "lines+markers", "marker": {"symbol": "circle", "size": 11, "color": "#2f6fd0"}},
    "other": {"mode": "lines+markers", "marker": {"symbol": "square", "size": 9, "color": "#2a8c57"}},
    "control": {"mode": "lines+markers", "marker": {"symbol": "diamond", "size": 8, "color": "#8a4fb8"}, "line": {"dash": "dot"}},
    "second": {"mode": "lines+markers", "marker": {"symbol": "diamond", "size": 8, "color": "#b8871b"}, "line": {"dash": "dot"}},
    "third": {"mode": "lines+markers", "marker": {"symbol": "diamond", "size": 8, "color": "#6d6f76"}, "line": {"dash": "dot"}},
    "published": {"mode": "markers+text", "marker": {"symbol": "star", "size": 15, "color": "#d1662b"}},
    "published2": {"mode": "markers+text", "marker": {"symbol": "star", "size": 13, "color": "#c23b6b"}},
}
"""How the kinds of points look."""


@dataclass(frozen=True)
class Dots:
    """Points of one kind.

    Args:
        name: in the legend.
        look: a key of `LOOKS`.
        points: (parameters, accuracy, its deviation over seeds or 0), accuracies in percent.
        texts: one per point, or none.
    """

    name: str
    look: str
    points: Sequence[tuple[float, float, float]]
    texts: Sequence[str] = ()


def shown(name: str, title: str) -> str:
    """The Markdown that shows `docs/pictures/NAME.png`."""
    return f"![{title}](pictures/{name}.png)"


def draw(name: str, title: str, dots: Sequence[Dots], lowest: float) -> None:
    """Write `docs/pictures/NAME.png`.

    Args:
        name: of the file, without its ending.
        title: what stands above it.
        dots: all kinds of points.
        lowest: the accuracy in percent at the lower edge; what lies below is cut off.
    """
    figure = Figure([_scatter(d) for d in dots])
    highest = max(p[1] for d in dots for p in d.points)
    grid = {"gridcolor": "#e6e8ec", "zeroline": False, "linecolor": "#9aa0a6", "ticks": "outside"}
    figure.update_layout(
        template=None,
        title={"text": title, "x": 0.02, "font": {"size": 15}},
        xaxis={"title": {"text": "parameters left (log scale)"}, "type": "log", **_TICKS, **grid},
        yaxis={"title": {"text": "test accuracy, %"}, "range": [lowest, highest + 0.06 * (highest - lowest)], **grid},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        margin={"l": 70, "r": 20, "t": 90, "b": 60},
        font={"family": "Roboto, Helvetica, Arial, sans-serif", "size": 12, "color": "#22262b"},
    )
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.write_image(PICTURES / f"{name}.png", width=WIDTH, height=HEIGHT)


def _scatter(dots: Dots) -> Scatter:
    xs, ys, spread = ([p[i] for p in dots.points] for i in range(3))
    look = LOOKS[dots.look]
    bars = {"type": "data", "array": spread, "visible": any(spread), "thickness": 1.2}
    line = {"color": look["marker"]["color"], "width": 1.5, **look.get("line", {})}
    texts = {"text": list(dots.texts), "textposition": _beside(xs)} if dots.texts else {}
    return Scatter(name=dots.name, x=xs, y=ys, error_y=bars, mode=look["mode"], marker=look["marker"], line=line, **texts)


def _beside(xs: Sequence[float]) -> list[str]:
    """Where words stand: away from a curve that climbs from left to right, and within the picture."""
    return ["top right" if x == min(xs) else "top left" for x in xs]

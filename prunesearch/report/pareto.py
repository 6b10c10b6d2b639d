"""The front as a figure: accuracy against parameters (log scale), latency as colour, the dense network marked.

Trials that are not on the front stay visible, small; infeasible ones are greyed. The accuracies that are shown reach from the
worst feasible network to the best: infeasible ones beyond are counted in the legend, and seen when the figure is zoomed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prunesearch.report.figures import GRID, LOOK
from prunesearch.report.words import number, times
from prunesearch.results import Measures

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

Standing = Literal["front", "dominated", "infeasible"]
_MARGIN = 0.15  # of the accuracies that are shown, above and below them
LOOKS = {"dominated": ("circle", 7, "#b8c4d6"), "infeasible": ("x", 6, "#c9c9c9")}
"""Symbol, size and colour of what is not on the front."""


@dataclass(frozen=True)
class Point:
    """One trial in the figure: its number, figures, standing, and what it did in words."""

    trial: int
    measures: Measures
    standing: Standing
    words: str


def pareto_figure(points: Sequence[Point], dense: Measures | None, *, title: str, metric: str = "accuracy") -> Figure:
    """The figure, self-contained: plain lists, so that it travels as JSON.

    Args:
        points: all measured trials.
        dense: the dense network's figures, if known.
        title: what stands above it.
        metric: name of the measure that `accuracy` stands for.
    """
    from plotly.graph_objects import Figure

    chosen = {s: [p for p in points if p.standing == s] for s in ("infeasible", "dominated", "front")}
    traces = [_plain(s, chosen[s], dense) for s in ("infeasible", "dominated") if chosen[s]]
    traces += [_front(chosen["front"], dense)] if chosen["front"] else []
    traces += [_dense(dense)] if dense else []
    figure = Figure(traces)
    figure.update_layout(_layout(title, metric))
    shown = _shown([p.measures for p in (*chosen["dominated"], *chosen["front"])] + ([dense] if dense else []))
    beyond = sum(not shown[0] <= p.measures.accuracy <= shown[1] for p in chosen["infeasible"]) if shown else 0
    if beyond:
        figure.update_yaxes(range=shown)
        figure.data[0].name = f"infeasible ({beyond} beyond the edge)"
    return figure


def _shown(measures: Sequence[Measures]) -> tuple[float, float] | None:
    """The accuracies between the edges of the figure: those of `measures` and a little more; None where they are one."""
    known = [m.accuracy for m in measures]
    low, high = min(known, default=0.0), max(known, default=0.0)
    margin = _MARGIN * (high - low)
    return (low - margin, high + margin) if margin else None


def _front(points: list[Point], dense: Measures | None) -> Scatter:
    from plotly.graph_objects import Scatter

    timed = [p.measures.latency_ms for p in points]
    marker: dict[str, Any] = {"size": 13, "line": {"width": 1, "color": "#30343b"}, "color": "#3b6fd4"}
    if any(t is not None for t in timed):
        bar = {"title": {"text": "latency, ms"}, "thickness": 14, "len": 0.75, "y": 0.4}
        marker |= {"color": timed, "colorscale": "Viridis", "reversescale": True, "colorbar": bar}
    return Scatter(name="front", marker=marker, **_common(points, dense))


def _plain(standing: str, points: list[Point], dense: Measures | None) -> Scatter:
    from plotly.graph_objects import Scatter

    symbol, size, color = LOOKS[standing]
    return Scatter(name=standing, marker={"symbol": symbol, "size": size, "color": color}, **_common(points, dense))


def _dense(dense: Measures) -> Scatter:
    from plotly.graph_objects import Scatter

    told = [f"dense: {number(dense.accuracy)}, {number(dense.params)} parameters, {number(dense.latency_ms)} ms"]
    marker = {"symbol": "star", "size": 17, "color": "#d9534f", "line": {"width": 1, "color": "#30343b"}}
    place = {"x": [dense.params], "y": [dense.accuracy], "mode": "markers"}
    return Scatter(name="dense", marker=marker, hovertext=told, hoverinfo="text", **place)


def _common(points: list[Point], dense: Measures | None) -> dict[str, Any]:
    """What all scatters of trials share."""
    return {
        "x": [p.measures.params for p in points],
        "y": [p.measures.accuracy for p in points],
        "mode": "markers",
        "hovertext": [_hover(p, dense) for p in points],
        "hoverinfo": "text",
    }


def _hover(point: Point, dense: Measures | None) -> str:
    m = point.measures
    fewer = f" ({times(dense.params / max(1, m.params))} fewer)" if dense else ""
    latency = f"{number(m.latency_ms)} ms" if m.latency_ms is not None else "latency not measured"
    return f"trial {point.trial}: {number(m.accuracy)}<br>{number(m.params)} parameters{fewer}<br>{latency}<br>{point.words}"


def _layout(title: str, metric: str) -> dict[str, Any]:
    return {
        **LOOK,
        "title": {"text": title, "x": 0.02, "font": {"size": 15}},
        "xaxis": {"title": {"text": "parameters to store (log scale)"}, "type": "log", "dtick": "D2", **GRID},
        "yaxis": {"title": {"text": f"{metric} (validation)"}, **GRID},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 70, "r": 20, "t": 80, "b": 60},
    }

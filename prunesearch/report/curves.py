"""Curves as a figure: accuracy, and loss on a second axis, against what was removed; weights dotted, units solid.

Two sets of lines, against parameters and against weights or units removed: where there are buttons they switch between
them. Bands are one standard deviation over the seeds to either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunesearch.report.figures import GRID, LOOK
from prunesearch.report.published import AXES, Axis, Published
from prunesearch.report.words import number, percent
from prunesearch.sweeps.curves import CurvePoint, Split

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

COLORS = ("#2f6fd0", "#d1662b", "#2a8c57", "#8a4fb8", "#b8871b", "#c23b6b", "#3a9aa8", "#6d6f76")
FEW = 4
"""Lines beyond which no losses are drawn, and bars in place of bands: nobody could tell them apart."""
_GREY = "#7d838c"


@dataclass(frozen=True)
class Drawing:
    """What a figure of curves says.

    Args:
        points: all points, in any order.
        dense: the dense network.
        title: what stands above it.
        metric: the name of the measure that `accuracy` stands for.
        split: the split whose figures are shown.
        published: points of others.
        axis: what lies along x at first.
        buttons: whether the other axis can be chosen; a picture has no use for it.
        maximize: whether more of the measure is better.
    """

    points: Sequence[CurvePoint]
    dense: CurvePoint
    title: str
    metric: str = "accuracy"
    split: Split = "test"
    published: Sequence[Published] = ()
    axis: Axis = "sparsity"
    buttons: bool = True
    maximize: bool = True

    @property
    def measure(self) -> str:
        """The figure along y."""
        return "test_accuracy" if self.split == "test" else "accuracy"

    @property
    def loss(self) -> str:
        """The figure along the second y."""
        return "test_loss" if self.split == "test" else "loss"

    @property
    def series(self) -> tuple[str, ...]:
        """The lines, in the order in which they came."""
        return tuple(dict.fromkeys(p.series for p in self.points))

    @property
    def losses(self) -> bool:
        """Whether losses are drawn."""
        return self.few and any(self.loss in p.figures for p in self.points)

    @property
    def few(self) -> bool:
        """Whether there is room for more than a line per series."""
        return len(self.series) <= FEW

    @property
    def worst(self) -> float:
        """The worst measure of all points, where those without a network are drawn."""
        found = sorted(p.figures[self.measure] for p in self.points if self.measure in p.figures)
        return found[0 if self.maximize else -1] if found else 0.0

    def line(self, series: str, axis: Axis) -> list[CurvePoint]:
        """The points of a line that gave a network, from left to right."""
        found = [p for p in self.points if p.series == series and self.measure in p.figures]
        return sorted(found, key=lambda p: p.figures[axis])


def curve_figure(drawing: Drawing) -> Figure:
    """The figure, self-contained: plain lists, so that it travels as JSON."""
    from plotly.graph_objects import Figure

    axes = (drawing.axis, *(a for a in AXES if a != drawing.axis and drawing.buttons))
    sets = [list(_traces(drawing, axis)) for axis in axes]
    for traces in sets[1:]:
        for trace in traces:
            trace.visible = False
    figure = Figure([trace for traces in sets for trace in traces])
    figure.update_layout(_layout(drawing))
    if len(axes) > 1:
        figure.update_layout(updatemenus=[_menu(axes, [len(traces) for traces in sets])])
    return figure


def _traces(drawing: Drawing, axis: Axis) -> Iterator[Scatter]:
    yield _dense(drawing)
    for index, series in enumerate(drawing.series):
        line, color = drawing.line(series, axis), COLORS[index % len(COLORS)]
        if drawing.few and any(drawing.measure in p.deviations for p in line):
            yield _band(drawing, line, axis, color)
        yield _accuracy(drawing, line, axis, color, series)
        if drawing.losses:
            yield _loss(drawing, line, axis, color, series)
    yield from _key(drawing)
    yield from _others(drawing, axis)


def _dense(drawing: Drawing) -> Scatter:
    from plotly.graph_objects import Scatter

    level = drawing.dense.figures[drawing.measure]
    line = {"dash": "dash", "width": 1.5, "color": _GREY}
    return Scatter(x=[0, 1], y=[level, level], mode="lines", line=line, name=f"dense {number(level)}", hoverinfo="skip")


def _accuracy(drawing: Drawing, line: list[CurvePoint], axis: Axis, color: str, series: str) -> Scatter:
    from plotly.graph_objects import Scatter

    symbols = ["circle" if p.reason is None else "x" for p in line]
    bars = [p.deviations.get(drawing.measure, 0.0) for p in line]
    return Scatter(
        x=[p.figures[axis] for p in line],
        y=[p.figures[drawing.measure] for p in line],
        mode="lines+markers",
        name=series,
        legendgroup=series,
        line={"color": color, "width": 2.2, "dash": _dash(drawing, line)},
        marker={"symbol": symbols, "size": [7 if s == "circle" else 10 for s in symbols], "color": color},
        error_y={"array": bars, "visible": not drawing.few and any(bars), "thickness": 1, "width": 3},
        hovertext=[_hover(p, drawing) for p in line],
        hoverinfo="text",
    )


def _loss(drawing: Drawing, line: list[CurvePoint], axis: Axis, color: str, series: str) -> Scatter:
    from plotly.graph_objects import Scatter

    known = [p for p in line if drawing.loss in p.figures]
    return Scatter(
        x=[p.figures[axis] for p in known],
        y=[p.figures[drawing.loss] for p in known],
        yaxis="y2",
        mode="lines",
        opacity=0.45,
        name=f"{series}, loss",
        legendgroup=series,
        showlegend=False,
        line={"color": color, "width": 1.4, "dash": _dash(drawing, line)},
        hoverinfo="skip",
    )


def _band(drawing: Drawing, line: list[CurvePoint], axis: Axis, color: str) -> Scatter:
    from plotly.graph_objects import Scatter

    x = [p.figures[axis] for p in line]
    middle = [p.figures[drawing.measure] for p in line]
    width = [p.deviations.get(drawing.measure, 0.0) for p in line]
    high, low = ([m + sign * w for m, w in zip(middle, width, strict=True)] for sign in (1, -1))
    series = line[0].series
    return Scatter(
        x=x + x[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor=_faint(color),
        mode="none",
        name=f"{series}, deviation",
        legendgroup=series,
        showlegend=False,
        hoverinfo="skip",
    )


def _key(drawing: Drawing) -> Iterator[Scatter]:
    """What thin lines and crosses mean, and the points without a network, in the legend."""
    from plotly.graph_objects import Scatter

    if drawing.losses:
        line = {"color": _GREY, "width": 1.4}
        yield Scatter(x=[None], y=[None], mode="lines", line=line, opacity=0.6, name="thin: loss (right)", hoverinfo="skip")
    if not any(p.reason for p in drawing.points):
        return
    lost = [p for p in drawing.points if drawing.measure not in p.figures]
    yield Scatter(
        x=_some([p.level for p in lost]),
        y=_some([drawing.worst for _ in lost]),
        mode="markers",
        marker={"symbol": "x", "size": 10, "color": _GREY},
        name="cross: no usable network",
        hovertext=[_hover(p, drawing) for p in lost],
        hoverinfo="text",
    )


def _others(drawing: Drawing, axis: Axis) -> Iterator[Scatter]:
    """Published points of this axis, hollow."""
    from plotly.graph_objects import Scatter

    for index, series in enumerate(dict.fromkeys(p.series for p in drawing.published)):
        found = sorted((p for p in drawing.published if p.series == series and p.axis == axis), key=lambda p: p.level)
        color = COLORS[(len(drawing.series) + index) % len(COLORS)]
        yield Scatter(
            x=_some([p.level for p in found]),
            y=_some([p.accuracy for p in found]),
            mode="lines+markers" if len(found) > 1 else "markers",
            name=series,
            showlegend=bool(found),
            line={"color": color, "width": 1, "dash": "dashdot"},
            marker={"symbol": "diamond-open", "size": 9, "color": color},
            hovertext=[f"{p.series}<br>{percent(p.level)} {AXES[axis]}<br>{number(p.accuracy)}, published" for p in found],
            hoverinfo="text",
        )


def _some(values: list[float]) -> list[float | None]:
    """`values`, or one that is nowhere: a line without points would have no place in the legend."""
    return [*values] or [None]


def _hover(point: CurvePoint, drawing: Drawing) -> str:
    figures = point.figures
    lines = [f"{point.series}, {percent(point.level)} asked"]
    if drawing.measure in figures:
        lines.append(f"{drawing.metric} {number(figures[drawing.measure])}{_give(point, drawing.measure)}")
        lines.append(f"{percent(figures['removed'])} of weights or units removed")
        lines.append(f"{percent(figures['sparsity'])} of parameters removed, {number(round(figures['params']))} left")
    if drawing.loss in figures:
        lines.append(f"loss {number(figures[drawing.loss])}{_give(point, drawing.loss)}")
    return "<br>".join([*lines, point.reason] if point.reason else lines)


def _give(point: CurvePoint, name: str) -> str:
    """` ± 0.0021 (3 seeds)`; nothing for one seed."""
    return f" ± {number(point.deviations[name])} ({point.seeds} seeds)" if name in point.deviations else ""


def _dash(drawing: Drawing, line: list[CurvePoint]) -> str:
    """Weights dotted, units solid; all solid where there are no units."""
    mixed = any(p.granularity not in ("weight", "") for p in drawing.points)
    return "dot" if mixed and line and line[0].granularity == "weight" else "solid"


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _menu(axes: Sequence[Axis], sizes: Sequence[int]) -> dict[str, Any]:
    """Two buttons, one per axis; each shows its own set of lines."""
    buttons = []
    for chosen, axis in enumerate(axes):
        visible = [index == chosen for index, size in enumerate(sizes) for _ in range(size)]
        change = {"xaxis.title.text": AXES[axis]}
        buttons.append({"label": AXES[axis], "method": "update", "args": [{"visible": visible}, change]})
    place = {"x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    return {"type": "buttons", "direction": "right", "buttons": buttons, "showactive": True, "active": 0, **place}


def _layout(drawing: Drawing) -> dict[str, Any]:
    along = {"range": [-0.015, 1.015], "tickformat": ".0%", "dtick": 0.1}
    right = {"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto", "rangemode": "tozero"}
    right |= {"title": {"text": f"loss ({drawing.split})"}}
    layout = {
        **LOOK,
        "title": {"text": drawing.title, "x": 0.02, "y": 0.97, "yanchor": "top", "font": {"size": 15}},
        "xaxis": {"title": {"text": AXES[drawing.axis]}, **along, **GRID},
        "yaxis": {"title": {"text": f"{drawing.metric} ({drawing.split})"}, **GRID},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
        "margin": {"l": 70, "r": 70, "t": 80 if drawing.buttons else 50, "b": 60},
    }
    return layout | ({"yaxis2": {**GRID, **right}} if drawing.losses else {})

"""A sensitivity as a table and as a figure: heat maps of what is lost (groups x ratios), and one line per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prunesearch.report.figures import GRID, LOOK
from prunesearch.report.table import Column, Table
from prunesearch.report.words import number, percent
from prunesearch.sensitivity import GroupCurve, Sensitivity

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Heatmap, Scatter

LOST = ((0.0, "#f1f3f6"), (0.05, "#fde8c8"), (0.25, "#f7a35c"), (0.6, "#d13b2e"), (1.0, "#6b0f1a"))
"""Share of the scale -> colour: nothing lost is grey."""
WORST = 20.0
"""Points at which the colours end: a network that has lost so much is of no use, whatever more it loses."""
ROW, LEAST, GAP, AROUND = 30, 220, 110, 140
"""Heights in pixels: of a row of a heat map, of the lowest chart, between two charts, and above and below them."""
LETTER = 6.5
"""Width of a letter in pixels."""


def sensitivity_table(found: Sensitivity) -> Table:
    """One row per group: points lost at every ratio, and how far it goes within one point."""
    ratios = [Column(_key(ratio), percent(ratio), _points, right=True) for ratio in found.ratios]
    columns = (Column("group", "group"), Column("kind", "of"), Column("size", "elements", number, right=True), *ratios)
    title = f"Points of {found.metric} lost, one group pruned at a time (dense {number(found.dense)}{_scale(found)})"
    return Table((*columns, Column("within", "1 point", percent, right=True)), [_row(c, found) for c in found.groups], title)


def sensitivity_csv(found: Sensitivity) -> Table:
    """One row per group and ratio."""
    rows = [
        {
            "group": curve.group,
            "kind": curve.kind,
            "size": curve.size,
            "ratio": ratio,
            "drop": curve.drops[i],
            found.metric: metric_at(found, curve.drops[i]),
            "deviation": curve.deviations[i] if curve.deviations else None,
            "params": curve.params[i] if curve.params else None,
            "seeds": len(found.seeds),
        }
        for curve in found.groups
        for i, ratio in enumerate(found.ratios)
    ]
    names = ("group", "kind", "size", "ratio", found.metric, "drop", "deviation", "params", "seeds")
    return Table(tuple(Column(name, name) for name in names), rows)


def metric_at(found: Sensitivity, drop: float | None) -> float | None:
    """The metric that is left where `drop` is lost."""
    if drop is None:
        return None
    return found.dense - drop if found.direction == "maximize" else found.dense + drop


def sensitivity_figure(found: Sensitivity) -> Figure:
    """Heat map and lines beside each other; single weights in the upper row, units in the lower one."""
    from plotly.subplots import make_subplots

    parts = [[c for c in found.groups if (c.kind == "weight") is weights] for weights in (True, False)]
    shown = [part for part in parts if part]
    heights = [max(LEAST, ROW * len(part) + 40) for part in shown]
    titles = [
        t for part in shown for t in (f"{_what(part)}: points of {found.metric} lost", f"{_what(part)}: {found.metric} left")
    ]
    figure = make_subplots(
        *(len(shown), 2),
        column_widths=[0.56, 0.44],
        row_heights=heights,
        horizontal_spacing=0.1,
        vertical_spacing=GAP / (sum(heights) + GAP) if len(shown) > 1 else 0.0,
        subplot_titles=titles,
    )
    for row, part in enumerate(shown, 1):
        figure.add_trace(_heat(part, found), row=row, col=1)
        for trace in _lines(part, found, row):
            figure.add_trace(trace, row=row, col=2)
        top = figure.get_subplot(row, 2).yaxis.domain[1]
        figure.update_layout({_legend(row): {"x": 1.01, "y": top, "yanchor": "top", "font": {"size": 11}}})
    figure.update_layout(_layout(found, sum(heights) + GAP * (len(shown) - 1) + AROUND))
    figure.update_xaxes(title={"text": "removed from the group", "standoff": 8, "font": {"size": 12}}, tickformat=".0%", **GRID)
    figure.update_yaxes(**GRID)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", col=1)  # a Sequential's groups are "0", "2", "4"
    figure.update_xaxes(showgrid=False, type="category", col=1)
    figure.update_annotations(font_size=13)
    return figure


def _heat(part: Sequence[GroupCurve], found: Sensitivity) -> Heatmap:
    from plotly.graph_objects import Heatmap

    return Heatmap(
        z=[_lost(curve, found) for curve in part],
        x=[percent(ratio) for ratio in found.ratios],
        y=[curve.group for curve in part],
        zmin=0,
        zmax=WORST,
        colorscale=[list(stop) for stop in LOST],
        showscale=False,
        text=[[_points(lost) for lost in _lost(curve, found)] for curve in part],
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x} removed: %{text} points lost<extra></extra>",
        xgap=1,
        ygap=1,
    )


def _lines(part: Sequence[GroupCurve], found: Sensitivity, row: int) -> list[Scatter]:
    """The groups' lines, coloured from the first to the last of the network, and the dense network's."""
    from plotly.colors import sample_colorscale
    from plotly.graph_objects import Scatter

    legend = {"legend": _legend(row)}
    colors = sample_colorscale("Turbo", [(i + 0.5) / len(part) for i in range(len(part))])
    x = [0.0, *found.ratios]
    dense = Scatter(
        x=[0, 1], y=[found.dense] * 2, name="dense", mode="lines", line={"dash": "dash", "color": "#30343b"}, **legend
    )
    return [
        Scatter(
            x=x,
            y=[found.dense, *(metric_at(found, drop) for drop in curve.drops)],
            error_y={"array": [0.0, *curve.deviations], "thickness": 1, "width": 3} if curve.deviations else None,
            name=curve.group,
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"size": 6},
            **legend,
        )
        for curve, color in zip(part, colors, strict=True)
    ] + [dense]


def _layout(found: Sensitivity, height: int) -> dict[str, Any]:
    after = "not trained afterwards" if not found.retrain else f"{found.retrain} epochs of training afterwards"
    seeds = "" if len(found.seeds) == 1 else f", mean of {len(found.seeds)} seeds, bars: standard deviation"
    title = f"{found.task}: one group pruned at a time by {found.criterion}, {after} (validation{seeds}{_scale(found)})"
    names = round(LETTER * max(len("dense"), *(len(curve.group) for curve in found.groups)))
    return {
        **LOOK,
        "title": {"text": title, "x": 0.02, "font": {"size": 15}},
        "width": 900 + 2 * names,
        "height": height,
        "margin": {"l": 30 + names, "r": 60 + names, "t": 80, "b": 60},
    }


def _legend(row: int) -> str:
    """What plotly calls the legend of a row."""
    return "legend" if row == 1 else f"legend{row}"


def _what(part: Sequence[GroupCurve]) -> str:
    kinds = dict.fromkeys(curve.kind for curve in part)
    return " and ".join(f"{kind}s" for kind in kinds)


def _row(curve: GroupCurve, found: Sensitivity) -> dict[str, Any]:
    lost = {_key(ratio): points for ratio, points in zip(found.ratios, _lost(curve, found), strict=True)}
    return {"group": curve.group, "kind": curve.kind, "size": curve.size, **lost, "within": found.within(curve, 1)}


def _lost(curve: GroupCurve, found: Sensitivity) -> list[float | None]:
    """Points lost, per ratio; None where the trial failed."""
    return [None if drop is None else found.points(drop) for drop in curve.drops]


def _scale(found: Sensitivity) -> str:
    """What a point is, where that is not a hundredth."""
    return "" if found.direction == "maximize" else "; a point is 1 % of dense"


def _key(ratio: float) -> str:
    return f"{ratio:g}"


def _points(lost: float | None) -> str:
    """Points lost; what is gained has a minus."""
    return "failed" if lost is None else f"{lost:.1f}".replace("-0.0", "0.0")

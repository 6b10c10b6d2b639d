"""What all figures have in common: how they look, and the files that they become."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunesearch.drafts import beside, writing
from prunesearch.errors import EnvironmentFailure, UsageError, first_line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GRID: Mapping[str, Any] = {"gridcolor": "#e6e8ec", "zeroline": False, "linecolor": "#9aa0a6", "ticks": "outside"}
"""How axes look."""
LOOK: Mapping[str, Any] = {
    "template": None,
    "plot_bgcolor": "#ffffff",
    "paper_bgcolor": "#ffffff",
    "font": {"family": "Roboto, Helvetica, Arial, sans-serif", "size": 12, "color": "#22262b"},
    "hoverlabel": {"align": "left"},
}
"""How every figure looks."""


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure: `.html` (self-contained) or `.png` (needs kaleido and a Chromium). What was there stays until it is whole.

    Raises:
        UsageError: another ending.
        EnvironmentFailure: the file cannot be written, or what PNG needs is missing.
    """
    target = figure_target(path)
    with beside(target) as draft, writing(target):
        _write(figure, draft)
        draft.replace(target)
    return target


def _write(figure: Figure, path: Path) -> None:
    if path.suffix.lower() == ".html":
        figure.write_html(path, include_plotlyjs=True)
        return
    width, height = figure.layout.width or 900, figure.layout.height or 560
    try:
        figure.write_image(path, format="png", width=width, height=height, scale=2)
    except (ImportError, RuntimeError, ValueError) as error:
        hint = "write .html, or install kaleido and a Chromium"
        raise EnvironmentFailure(f"no PNG could be made: {first_line(error)}", hint) from None


def figure_target(path: str | Path) -> Path:
    """The path of a figure, checked before hours are spent on what it shows.

    Raises:
        UsageError: it ends in neither .html nor .png.
        EnvironmentFailure: its folder is not there, or PNG files cannot be made.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".png"):
        raise UsageError(f"'{target}' does not end in .html or .png", "figures are written as .html or .png")
    if not target.parent.is_dir():
        raise EnvironmentFailure(f"cannot write '{target}': no such folder", "give a path in a folder that exists")
    if target.suffix.lower() == ".png" and find_spec("kaleido") is None:
        raise EnvironmentFailure("no PNG could be made: kaleido is missing", "write .html, or install kaleido and a Chromium")
    return target

"""A network as columns of units and what connects them, from a recording's layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunesearch.recordings import Recording, Tensors
from prunesearch.recordings.reading import Layer
from prunesearch.recordings.sampling import Sides, sampled, sides

COLUMNS = 10
"""Columns of units that a picture has room for."""
Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """Units side by side.

    Args:
        name: of the layer whose outputs they are; `input` for the first.
        units: how many there are.
        known: which of them were recorded.
        shown: which of them are drawn.
    """

    name: str
    units: int
    known: Places
    shown: Places

    @classmethod
    def of(cls, name: str, units: int, recording: Recording) -> Column:
        """The column of a recording: all its units are known unless only a sample was recorded."""
        known = sampled(units) if recording.sampled else np.arange(units)
        return cls(name, units, known, known[sampled(len(known))])


@dataclass(frozen=True)
class Link:
    """What connects two columns: for every pair of units the weight of largest size, and whether any is left.

    Args:
        weight: (known units of the right column, known units of the left column).
        left: whether any weight between the two is left, of the same shape.
        outputs: which known units of the right column have any weight left, recorded or not.
        inputs: the same of the left column.
    """

    weight: Matrix
    left: Mask
    outputs: Mask
    inputs: Mask


@dataclass(frozen=True)
class Chain:
    """The layers of a network that follow each other.

    Args:
        layers: those that are drawn.
        columns: one more than layers.
        skipped: layers that do not take what the layer before them gives.
        beyond: layers for which there is no room.
    """

    layers: tuple[Layer, ...]
    columns: tuple[Column, ...]
    skipped: tuple[str, ...]
    beyond: int

    @classmethod
    def of(cls, recording: Recording) -> Chain:
        """The chain of a recorded network, from its input on."""
        layers: list[Layer] = []
        columns: list[Column] = []
        skipped: list[str] = []
        for layer in recording.layers:
            outputs, inputs = widths(recording, layer)
            if not columns:
                columns.append(Column.of("input", inputs, recording))
            if inputs % columns[-1].units or (layer.transposed and layer.groups > 1):
                skipped.append(layer.name)
                continue
            layers.append(layer)
            columns.append(Column.of(layer.name, outputs, recording))
        room = COLUMNS - 1
        return cls(tuple(layers[:room]), tuple(columns[: room + 1]), tuple(skipped), max(0, len(layers) - room))

    def links(self, recording: Recording, tensors: Tensors) -> list[Link]:
        """What connects the columns in one state."""
        return [_link(recording, layer, tensors, column) for layer, column in zip(self.layers, self.columns, strict=False)]


def alive(chain: Chain, links: Sequence[Link]) -> list[Mask]:
    """Per column, which known units have a weight left on every side on which they had any."""
    found = []
    for at, column in enumerate(chain.columns):
        living = np.ones(len(column.known), np.bool_)
        if at:
            living &= links[at - 1].outputs
        if at < len(links):
            living &= links[at].inputs
        found.append(living)
    return found


def widths(recording: Recording, layer: Layer) -> tuple[int, int]:
    """Outputs and inputs of a layer, all of them."""
    first, second = recording.shape(layer.weight)[:2]
    return (second * layer.groups, first) if layer.transposed else (first, second * layer.groups)


def _link(recording: Recording, layer: Layer, tensors: Tensors, column: Column) -> Link:
    """A layer's weights by units: inputs that belong to one unit, as those of a flattened image do, are taken together."""
    weight, left, inputs = _matrix(recording, layer, tensors)
    unit = inputs // (widths(recording, layer)[1] // column.units)
    merged, any_left = (
        np.zeros((len(weight), len(column.known)), np.float32),
        np.zeros((len(weight), len(column.known)), np.bool_),
    )
    seen = np.isin(column.known, unit)
    for at in np.flatnonzero(seen):
        mine = np.flatnonzero(unit == column.known[at])
        merged[:, at] = _strongest(weight[:, mine])
        any_left[:, at] = left[:, mine].any(axis=1)
    rows, columns = sides(any_left)
    living = _living(recording, layer, tensors, column) or (rows, columns | ~seen)
    return Link(merged, any_left, *living)


def _living(recording: Recording, layer: Layer, tensors: Tensors, column: Column) -> Sides | None:
    """Which known units of both columns have any weight left; None where the recorded weights alone tell.

    Of a grouped convolution's sample, a unit on the left counts where its group has one and its place has one in any group.
    """
    known = _sampled(recording, widths(recording, layer)[0])
    if layer.weight not in tensors.kept:
        return np.ones(len(known), np.bool_), np.ones(len(column.known), np.bool_)
    if layer.weight not in tensors.sides:
        return None
    first, second = tensors.sides[layer.weight]
    rows, columns = (second, first) if layer.transposed else (first, second)
    groups: Mask = np.asarray(rows.reshape(layer.groups, -1).any(axis=1))
    units: Mask = np.asarray((groups[:, None] & columns).reshape(column.units, -1).any(axis=1))
    return rows[known], units[column.known]


def _matrix(recording: Recording, layer: Layer, tensors: Tensors) -> tuple[Matrix, Mask, Places]:
    """The strongest weight of every kernel, whether any is left, and the inputs that the matrix's columns stand for."""
    values, kept = tensors.values[layer.weight], tensors.left(layer.weight)
    weight = _strongest(values.reshape(*values.shape[:2], -1))
    left: Mask = np.asarray(kept.reshape(*kept.shape[:2], -1).any(axis=2))
    outputs, inputs = widths(recording, layer)
    if layer.groups > 1:
        rows = _sampled(recording, outputs) // (outputs // layer.groups) * (inputs // layer.groups)
        places = rows[:, None] + _sampled(recording, inputs // layer.groups)
        return _spread(weight, places, inputs), _spread(left, places, inputs), np.arange(inputs)
    return (weight.T, left.T, _sampled(recording, inputs)) if layer.transposed else (weight, left, _sampled(recording, inputs))


def _sampled(recording: Recording, width: int) -> Places:
    """The positions that were recorded of a dimension."""
    return sampled(width) if recording.sampled else np.arange(width)


def _spread(block: NDArray[Any], places: Places, inputs: int) -> NDArray[Any]:
    """A grouped convolution's matrix with a column for every input of the layer."""
    full = np.zeros((len(block), inputs), block.dtype)
    np.put_along_axis(full, places, block, axis=1)
    return full


def _strongest(values: Matrix) -> Matrix:
    """Along the last axis, the value of largest size, with its sign."""
    found: Matrix = np.take_along_axis(values, np.abs(values).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return found

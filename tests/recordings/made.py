"""Recordings that are written by hand, for tests that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from prunesearch.policy import Policy
from prunesearch.recordings import Draft, Recording
from prunesearch.results import EpochRow

POLICY = Policy(epochs=3, function="gradual", threshold=0.75, epoch_threshold=0, converge_over=2)


def about(layers: Sequence[dict[str, Any]], task: str = "made") -> dict[str, Any]:
    """What an index holds beside its states."""
    told = {
        "task": task,
        "metric": "accuracy",
        "direction": "maximize",
        "params": 0,
        "input_shape": [2],
        "device": "cpu",
        "seed": 0,
    }
    return told | {"policy": POLICY.to_dict(), "groups": [], "measures": None, "layers": list(layers)}


def mlp_recording(
    folder: Path, sizes: Sequence[int] = (2, 6, 3), epochs: int = 3, params: int = 0, within: str = ""
) -> Recording:
    """An MLP whose weights all move a little every epoch, the weakest quarter of its first layer going in each."""
    drawn = np.random.default_rng(0)
    names = [f"{within}fc{i}" for i in range(1, len(sizes))]
    values = {
        f"{within}fc{i}.weight": drawn.normal(size=(b, a)).astype(np.float32) for i, (a, b) in enumerate(pairwise(sizes), 1)
    }
    first = values[f"{names[0]}.weight"]
    ranked = np.argsort(np.abs(first), axis=None)
    with Draft(folder, params) as draft:
        draft.add("initial", -1, None, values, {})
        for epoch in range(epochs):
            left = np.ones(first.size, np.bool_)
            left[ranked[: first.size * (epoch + 1) // 4]] = False
            mask = left.reshape(first.shape)
            shown = {name: value * np.float32(1 + epoch / 10) for name, value in values.items()}
            shown[f"{names[0]}.weight"] *= mask
            row = EpochRow(epoch, 1 / (epoch + 1), 0.5 + epoch / 10, 1e-3, 0.2 * epoch, 0.1)
            draft.add("epoch", epoch, row, shown, {f"{names[0]}.weight": mask})
        draft.add("final", epochs, None, shown, {f"{names[0]}.weight": mask})
        draft.close(about([{"name": name, "weight": f"{name}.weight"} for name in names]))
    return Recording.read(folder)


def wide_recording(folder: Path, params: int) -> Recording:
    """Three convolutions, in groups and transposed, and a linear layer behind 2 x 2 pixels; most weights go, and some units."""
    drawn = np.random.default_rng(2)
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (300, 3, 3, 3), "conv2.weight": (300, 5, 3, 3)}
    shapes |= {"up.weight": (300, 200, 2, 2), "fc.weight": (10, 800)}
    values = {name: drawn.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    masks = {name: drawn.random(shape) < 3 / np.prod(shape[1:]) for name, shape in shapes.items()}
    masks["up.weight"] = (drawn.random((300, 200)) < 0.02)[..., None, None] & np.ones((2, 2), np.bool_)
    masks["conv2.weight"] = np.ones(shapes["conv2.weight"], np.bool_)
    masks["conv2.weight"][drawn.random(300) < 0.1] = masks["conv2.weight"][:, 3] = False
    layers: list[dict[str, Any]] = [{"name": name, "weight": f"{name}.weight", "conv": True} for name in ("conv1", "conv2", "up")]
    layers[1]["groups"], layers[2]["transposed"] = 60, True
    with Draft(folder, params) as draft:
        draft.add("initial", -1, None, values, {})
        draft.add("final", 0, None, {name: value * masks[name] for name, value in values.items()}, masks)
        draft.close(about([*layers, {"name": "fc", "weight": "fc.weight"}], "made-wide"))
    return Recording.read(folder)


def cnn_recording(folder: Path) -> Recording:
    """Two convolutions, the second one in groups, and a linear layer behind 2 x 2 pixels; one filter and one weight go."""
    drawn = np.random.default_rng(1)
    shapes = {"conv1.weight": (4, 1, 3, 3), "conv2.weight": (6, 2, 3, 3), "fc.weight": (3, 24)}
    values = {name: drawn.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    masks = {name: np.ones(shape, np.bool_) for name, shape in shapes.items()}
    masks["conv1.weight"][1] = False
    masks["conv2.weight"][0, 0, 1, 1] = False
    layers = [{"name": "conv1", "weight": "conv1.weight", "conv": True}]
    layers += [{"name": "conv2", "weight": "conv2.weight", "conv": True, "groups": 2}, {"name": "fc", "weight": "fc.weight"}]
    with Draft(folder, 0) as draft:
        draft.add("initial", -1, None, values, {})
        cut = {name: value * masks[name] for name, value in values.items()}
        draft.add("epoch", 0, EpochRow(0, 1.0, 0.5, 1e-3, 0.1, 0.1), cut, masks)
        draft.close(about(layers, "made-cnn"))
    return Recording.read(folder)

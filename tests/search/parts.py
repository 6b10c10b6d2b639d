"""Tasks and studies as plain data, to search over without training anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prunesearch.results import DenseReference, GroupInfo, LatencySpec, Measures, Result, TaskInfo
from prunesearch.spec import StudySpec


def group(name: str, kind: Any, size: int = 40, spared: str | None = None) -> GroupInfo:
    """A group of `size` elements."""
    return GroupInfo(name, kind, (f"{name}.weight",), size, 10 * size, spared)


MLP = (
    group("fc1", "weight", 3000),
    group("fc2", "weight", 300),
    group("fc3", "weight", 100, "it is the output layer"),
    group("fc1", "neuron", 30),
    group("fc2", "neuron", 10),
)
CNN = (*MLP, group("conv1", "weight", 90), group("conv1", "filter", 8), group("conv2", "filter", 16))
STAGES = tuple(
    group(name, kind)
    for kind in ("weight", "filter")
    for name in ("conv1", *(f"layer{s}.{b}.conv{c}" for s in (1, 2, 3) for b in (0, 1, 2) for c in (1, 2)))
)


def info(groups: tuple[GroupInfo, ...] = MLP, *, epochs: int = 10, weights_given: bool = False, norms: bool = False) -> TaskInfo:
    """A task on a network with these groups; `norms`: behind all their units."""
    return TaskInfo(
        name="digits-mlp",
        digest="d" * 16,
        epochs=epochs,
        metric="accuracy",
        direction="maximize",
        groups=tuple(replace(g, norm=norms and g.kind != "weight") for g in groups),
        weights_given=weights_given,
        params=10_000,
        macs=9_000,
        sizes=(80, 10, 10),
        classes=10,
        input_shape=(64,),
        device="cpu",
    )


def spec(**fields: Any) -> StudySpec:
    """A study; only what is said differs from the defaults."""
    return StudySpec.parse({"name": "s", "task": "digits-mlp", **fields})


def measures(accuracy: float = 0.9, params: int = 1000, latency_ms: float | None = 1.0, ratio: float | None = 1.0) -> Measures:
    """The figures of one network."""
    return Measures(
        accuracy=accuracy,
        params=params,
        params_dense=params,
        macs=params,
        bytes=4 * params,
        sparsity=0.5,
        seconds=1.0,
        latency_ms=latency_ms,
        latency_ratio=ratio,
        latency_ratio_iqr=None if ratio is None else 0.01,
    )


def result(accuracy: float = 0.9, params: int = 1000, **fields: Any) -> Result:
    """A complete result."""
    return Result(**{"state": "complete", "measures": measures(accuracy, params), "signature": f"shape-{params}", **fields})


def dense() -> DenseReference:
    """The dense network: accuracy 0.95, 10,000 parameters, 2 ms."""
    return DenseReference(measures(0.95, 10_000, 2.0), "dense", LatencySpec())

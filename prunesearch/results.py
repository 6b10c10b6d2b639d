"""Plain data that crosses rooms: what a task is, what a trial is asked, what it produced. No torch, no SQL.

The classes are frozen dataclasses of numbers, words and tuples, so that they travel between processes and into JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from prunesearch.policy import Policy

State = Literal["complete", "infeasible", "failed", "stopped"]
"""complete: measured and usable; infeasible: measured, but a guard or constraint says no; failed: an exception, NaN or
out of memory; stopped: a stopping rule ended it early."""

MEASURES: Mapping[str, str] = {
    "accuracy": "the task's metric on the validation split",
    "test_accuracy": "the task's metric on the test split; reported, never used for selection",
    "params": "what has to be stored: non-zero weights where a mask remains, every element of all other tensors",
    "params_dense": "elements of all parameter tensors after the physical cut",
    "macs": "multiply-accumulates for one example (FlopCounterMode / 2), after the physical cut",
    "bytes": "bytes of all parameters and buffers after the physical cut",
    "sparsity": "fraction of the dense network's parameters that are gone: 1 - params / dense params",
    "latency_ms": "latency_ratio times the study's dense latency, so that a slow hour does not reorder trials",
    "latency_iqr_ms": "interquartile range of latency_ms",
    "latency_ratio": "median over rounds of latency / dense latency, measured interleaved",
    "latency_ratio_iqr": "interquartile range of latency_ratio over the rounds",
    "seconds": "wall time of the trial, without queueing",
}
"""Every measure with its meaning, in the order in which tables show them. Which way each is better: `front.direction_of`."""

NUMERICS: Mapping[str, str] = {
    "exact": "float32 throughout",
    "fast": "training multiplies in bfloat16 (TF32 on GPUs); what a search chooses is trained again in exact",
}
"""How trials compute; see `prunesearch.training.numerics`."""

OBJECTIVES = ("accuracy", "params", "params_dense", "macs", "bytes", "latency_ms", "sparsity")
"""Measures that can be objectives or constraints."""
NOT_KEPT = "the network is not kept"
"""How the note of a trial begins whose network could not be written."""

WEIGHTS, ARCHITECTURE = "model.safetensors", "architecture.json"
"""The files of a network that is kept: its tensors, and the widths to build it with."""


@dataclass(frozen=True)
class Measures:
    """The figures of one network, read from the network itself, never from what was asked for; see `MEASURES`."""

    accuracy: float
    params: int
    params_dense: int
    macs: int
    bytes: int
    sparsity: float
    seconds: float
    test_accuracy: float | None = None
    latency_ms: float | None = None
    latency_iqr_ms: float | None = None
    latency_ratio: float | None = None
    latency_ratio_iqr: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """All measures by name."""
        return asdict(self)


@dataclass(frozen=True)
class EpochRow:
    """One epoch: mean training loss per example, validation accuracy after it, learning rate at its start, sparsity, seconds."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    sparsity: float
    seconds: float
    shared: bool = False


@dataclass(frozen=True)
class LayerRow:
    """One parameter tensor's or one group's share: `kept` of `total` elements (weights) or units, after the trial."""

    name: str
    kind: Literal["weight", "neuron", "filter"]
    kept: int
    total: int


@dataclass(frozen=True)
class GroupInfo:
    """What can be pruned together, or why not.

    Args:
        name: the group's name in `ratio`, `spare` and `only`: the name of its first layer.
        kind: what its elements are.
        members: names of all parameter tensors of which the group owns a part.
        size: number of its elements, weights or units.
        params: parameters that go when all of it goes.
        spared: why it is never pruned, or None.
        layers: the Linear and Conv layers that produce its units; none for weights.
        norm: whether a norm with a scale stands behind its units (criterion bn_scale).
        output: whether it is spared only for being the output layer's weights, which `prune_output_layer` frees.
    """

    name: str
    kind: Literal["weight", "neuron", "filter"]
    members: tuple[str, ...]
    size: int
    params: int
    spared: str | None = None
    layers: tuple[str, ...] = ()
    norm: bool = False
    output: bool = False


@dataclass(frozen=True)
class TaskInfo:
    """What a driver has to know of a task, told by an engine, so that the driver needs no torch.

    Args:
        name: the task's name, `digits-mlp` or `my_task.py:make_task`.
        digest: hash of initial tensors, structure, data and recipe.
        epochs: the recipe's epochs.
        metric: name of the accuracy-like measure.
        direction: "maximize" or "minimize", of that metric.
        groups: all groups, of weights and of units.
        weights_given: whether trials start from trained weights.
        params: parameters of the dense network.
        macs: multiply-accumulates of the dense network, one example.
        sizes: examples in the train, validation and test split.
        classes: number of classes, 0 where it is not a classification.
        input_shape: shape of one example.
        device: where trials run, such as "cpu" or "cuda:0 NVIDIA H200".
        shares: whether its trials can share epochs: data in memory, and no loop, evaluation or optimiser of the user's own.
    """

    name: str
    digest: str
    epochs: int
    metric: str
    direction: Literal["maximize", "minimize"]
    groups: tuple[GroupInfo, ...]
    weights_given: bool
    params: int
    macs: int
    sizes: tuple[int, int, int]
    classes: int
    input_shape: tuple[int, ...]
    device: str
    shares: bool = True

    @property
    def granularities(self) -> tuple[str, ...]:
        """The granularities that the model has something for; `unit` only where it has both neurons and filters."""
        kinds = {g.kind for g in self.groups if g.spared is None}
        return tuple(k for k in ("weight", "neuron", "filter") if k in kinds) + (
            ("unit",) if {"neuron", "filter"} <= kinds else ()
        )

    @property
    def device_model(self) -> str:
        """The device without its number: `cpu`, or what a GPU's maker calls it."""
        return self.device.partition(" ")[2] or self.device

    def prunable(self, granularity: str) -> tuple[GroupInfo, ...]:
        """The groups that a granularity prunes, spared ones left out."""
        kinds = ("neuron", "filter") if granularity == "unit" else (granularity,)
        return tuple(g for g in self.groups if g.kind in kinds and g.spared is None)


@dataclass(frozen=True)
class LatencySpec:
    """How latency is measured. `device` auto: where the trial runs; times are medians over interleaved rounds."""

    device: str = "auto"
    batch_size: int = 1
    threads: int = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    backend: Literal["eager", "cudagraph", "onnxruntime"] = "eager"
    rounds: int = 15


@dataclass(frozen=True)
class DenseReference:
    """The dense network's row: what every constraint `dense - 0.02` and every `vs dense` refers to."""

    measures: Measures
    signature: str
    latency: LatencySpec
    epochs: tuple[EpochRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


DENSE = -1
"""The number of the dense reference wherever trials have theirs."""


@dataclass(frozen=True)
class Job:
    """One thing an engine is asked to run.

    Args:
        number: the trial's number in the study; -1 for the dense reference.
        policy: what to run; None for the dense reference.
        epochs: N, for the dense reference; else that of the policy.
        seed: seed of data order, initial values and draws.
        latency: how to measure latency, None = not at all.
        dense: the dense reference, None when it is what is asked for or when there is none.
        known_latency: shape signature -> (ratio, iqr) measured before; equal shapes share one measurement.
        keep_to: folder that gets the pruned network (model.safetensors, architecture.json), or None.
        test: whether the test split is evaluated.
        record_to: folder that gets the run's weights and masks epoch by epoch, or None.
        losses: whether the loss on the held-out splits is measured too.
        ahead: run for the stages that it leaves to others; nobody reads its result.
        exact: in exact numerics, whatever those of the engine are.
    """

    number: int
    policy: Policy | None
    epochs: int
    seed: int
    latency: LatencySpec | None = None
    dense: DenseReference | None = None
    known_latency: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    keep_to: str | None = None
    test: bool = True
    record_to: str | None = None
    losses: bool = False
    ahead: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Timings:
    """Seconds of one trial by what they were spent on.

    `latency`: measuring it, and making way for others who measure; `wait`: for epochs that another trains; `other`: the rest.
    """

    train: float = 0.0
    validate: float = 0.0
    select: float = 0.0
    cut: float = 0.0
    latency: float = 0.0
    wait: float = 0.0
    other: float = 0.0


@dataclass(frozen=True)
class Result:
    """What one trial produced.

    Args:
        state: see `State`.
        measures: None only where the trial failed before anything could be measured.
        epochs: one row per epoch.
        layers: one row per group: what was kept.
        signature: hash of the shapes of the network that was measured, after the cut.
        reason: why it is infeasible, failed or stopped, in one line; None when complete.
        trace: traceback of a failure, for `show --debug`.
        notes: things worth telling: levels that came back, groups held at min_units, widths.
        device: where it ran, threads included.
        latency_shared: whether the latency is another trial's with equal shapes.
        kept_in: folder that holds the pruned network, or None.
        epochs_trained: epochs actually trained for it (less than asked where stages were shared).
        report: precision, recall, F1 per class on the test split, where asked for.
        losses: mean loss per example by split, `validation` and `test`, where the job asked for it.
        outside: whether it failed for want of something outside of it: memory, disk, a device, a package. Is not stored.
    """

    state: State
    measures: Measures | None
    epochs: tuple[EpochRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    signature: str = ""
    reason: str | None = None
    trace: str | None = None
    notes: tuple[str, ...] = ()
    device: str = ""
    timings: Timings = Timings()
    latency_shared: bool = False
    kept_in: str | None = None
    epochs_trained: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    outside: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an engine hands back for a job: a result, or `lost` when its worker died before there was one."""

    job: Job
    result: Result | None
    lost: str | None = None

    @property
    def final(self) -> Result:
        """The result; where there is none, a failed one that says what became of the worker."""
        return self.result or Result("failed", None, reason=self.lost or "its worker died", outside=True)

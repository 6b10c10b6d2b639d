"""A small task whose trials take milliseconds, and jobs for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from prunesearch.engines.base import EngineSpec
from prunesearch.models import mlp
from prunesearch.policy import Policy
from prunesearch.results import DenseReference, Job, LatencySpec, Measures, Result, Timings
from prunesearch.tasks import Task
from prunesearch.training.numerics import has_bfloat16
from prunesearch.trial import TrialRunner

CPU = EngineSpec("blobs", device="cpu")
LATENCY = LatencySpec(rounds=3)
needs_fast = pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this processor multiplies no bfloat16")


def blobs(count: int = 240, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around the corners of a simplex: an MLP learns them in a few epochs."""
    drawn = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % classes
    return torch.eye(classes)[y] + 0.25 * torch.randn(count, classes, generator=drawn), y


def make_task(**fields: Any) -> Task:
    given = {"model": lambda: mlp((3, 24, 16, 3)), "train": blobs(), "test": blobs(90, seed=1), "val": blobs(90, seed=2)}
    return Task(**{**given, "epochs": 4, "batch_size": 32, "lr": 1e-2, "name": "blobs", **fields})


def make_runner(**fields: Any) -> TrialRunner:
    return TrialRunner.from_task(make_task(**fields), CPU)


def policy(**fields: Any) -> Policy:
    return Policy.parse({"epochs": 4, "threshold": 0.5, "epoch_threshold": 2, **fields})


def job(made: Policy | None = None, **fields: Any) -> Job:
    return Job(**{"number": 0, "policy": made, "epochs": 4, "seed": 0, **fields})


def reference(result: Result) -> DenseReference:
    return DenseReference(measured(result), result.signature, LATENCY, result.epochs, result.layers)


def measured(result: Result) -> Measures:
    assert result.measures is not None, result.reason
    return result.measures


def numbers(result: Result) -> Result:
    """What has to be equal wherever it was computed: everything but clocks."""
    measures = result.measures and replace(result.measures, seconds=0.0)
    return replace(result, measures=measures, epochs=tuple(replace(row, seconds=0.0) for row in result.epochs), timings=Timings())

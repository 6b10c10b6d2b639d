"""Latency of a network compared with the dense one: both run in turn, so that a slow moment slows both."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

import torch
from torch import nn

from prunesearch.errors import EnvironmentFailure
from prunesearch.measure.backends import caller
from prunesearch.measure.processor import processor
from prunesearch.measure.timing import Clock, Effort, paired
from prunesearch.results import LatencySpec

_CUDA_SAMPLE = 1e-3  # seconds a sample lasts on a GPU: waiting for its end costs about 10 microseconds


@dataclass(frozen=True)
class Latency:
    """What was measured, and on what. Times are milliseconds for one batch.

    Args:
        ratio: median over the rounds of latency / dense latency.
        ratio_iqr: interquartile range of the rounds' ratios.
        ms: the smallest of the rounds' medians.
        ms_iqr: interquartile range of the rounds' medians.
        dense_ms: the same of the dense network, in the same rounds.
        dense_ms_iqr: likewise.
        rounds: rounds made.
        calls: timed calls of each network.
        seconds: what the measurement cost, preparation included.
        device: name of the device, with its vendor's model name.
        spec: batch size, threads, dtype and backend, and the device asked for.
        versions: of the packages that ran it.
    """

    ratio: float
    ratio_iqr: float
    ms: float
    ms_iqr: float
    dense_ms: float
    dense_ms_iqr: float
    rounds: int
    calls: int
    seconds: float
    device: str
    spec: LatencySpec
    versions: Mapping[str, str]


def measure_latency(
    model: nn.Module, dense: nn.Module, example: torch.Tensor, spec: LatencySpec, device: torch.device | str = "cpu"
) -> Latency:
    """Time a network against the dense one. Neither is changed: copies in evaluation mode are timed.

    A measurement of a small network takes 0.15 to 0.3 s; with long calls it is five rounds of one call each, and no round
    begins after 20 s. On the CPU with one thread the clock is the thread's CPU time: the same on an idle core, and blind
    to the time slices of neighbours (standard deviation .005 instead of .06 beside two of them, LeNet-5 at batch 64).

    Args:
        model: the pruned network. Where it is `dense` itself the ratio is 1 by definition.
        dense: the dense network.
        example: inputs, (m, ...) with m >= 1; repeated or cut to the batch size.
        spec: how to measure.
        device: where the trial runs, for `spec.device` auto.

    Raises:
        EnvironmentFailure: backend, device or package is not there.
    """
    began = time.perf_counter()
    where = _device(spec.device, device)
    dtype = getattr(torch, spec.dtype)
    batch = _batch(example, spec.batch_size).to(where, dtype if example.is_floating_point() else None)
    alone = where.type == "cpu" and spec.threads == 1
    effort = Effort(rounds=spec.rounds) if where.type == "cpu" else Effort(rounds=spec.rounds, sample=_CUDA_SAMPLE)
    clock: Clock = time.thread_time if alone else time.perf_counter
    with _threads(spec.threads):
        calls = [caller(copy.deepcopy(net).to(where, dtype).eval(), batch, spec) for net in (model, dense)]
        found = paired(calls[0], calls[1], effort, clock)
    return Latency(
        ratio=1.0 if model is dense else found.ratio,
        ratio_iqr=found.ratio_iqr,
        ms=1e3 * found.one,
        ms_iqr=1e3 * found.one_iqr,
        dense_ms=1e3 * found.other,
        dense_ms_iqr=1e3 * found.other_iqr,
        rounds=found.rounds,
        calls=found.calls,
        seconds=time.perf_counter() - began,
        device=device_name(where),
        spec=spec,
        versions=_versions(spec, where),
    )


def device_name(device: torch.device | str) -> str:
    """`cpu AMD EPYC 9V74`, `cuda:0 NVIDIA H200`: the device and what its maker calls it."""
    device = torch.device(device)
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{device} {model}".strip()


def _device(asked: str, trial: torch.device | str) -> torch.device:
    device = torch.device(trial if asked == "auto" else asked)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFailure(f"latency device '{device}' is not there: torch sees no CUDA device", "latency: {device: cpu}")
    return device


def _batch(example: torch.Tensor, size: int) -> torch.Tensor:
    """`size` inputs, the example's over and over; memory format kept."""
    return torch.cat([example] * -(-size // len(example)))[:size]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _versions(spec: LatencySpec, device: torch.device) -> dict[str, str]:
    found = {"torch": str(torch.__version__)}
    if device.type == "cuda":
        found["cuda"] = str(torch.version.cuda)
    if spec.backend == "onnxruntime":
        found["onnxruntime"] = metadata.version("onnxruntime")
    return found

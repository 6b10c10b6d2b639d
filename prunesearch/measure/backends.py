"""What runs a network when its latency is measured: eager PyTorch, a replayed CUDA graph, or ONNX Runtime."""

from __future__ import annotations

import io
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from prunesearch.errors import EnvironmentFailure
from prunesearch.measure.timing import Call
from prunesearch.results import LatencySpec

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_GRAPH_WARM_UP = 3  # runs on a side stream before a capture, as torch.cuda.graphs asks for


def caller(model: nn.Module, batch: torch.Tensor, spec: LatencySpec) -> Call:
    """A function that runs the model n times on the batch and waits for the end.

    Args:
        model: in evaluation mode, on the batch's device, in the right dtype.
        batch: (batch_size, ...).
        spec: says the backend, and the threads of ONNX Runtime.

    Raises:
        EnvironmentFailure: the backend needs a device or a package that is not there.
    """
    match spec.backend:
        case "eager":
            return _eager(model, batch)
        case "cudagraph":
            return _cudagraph(model, batch)
        case "onnxruntime":
            return _onnxruntime(model, batch, spec.threads)


def _eager(model: nn.Module, batch: torch.Tensor) -> Call:
    device = batch.device

    def call(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                model(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return call


def _cudagraph(model: nn.Module, batch: torch.Tensor) -> Call:
    device = batch.device
    if device.type != "cuda":
        raise EnvironmentFailure(
            f"latency backend 'cudagraph' needs a CUDA device, but latency is measured on {device}",
            "latency: {backend: eager}",
        )
    with torch.cuda.device(device), torch.inference_mode():
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_GRAPH_WARM_UP):
                model(batch)
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):  # else torch takes the one stream that it made for its first device
            outputs = model(batch)
    return partial(_replayed, graph, device, (model, batch, outputs))


def _replayed(graph: torch.cuda.CUDAGraph, device: torch.device, _memory: object, times: int) -> None:
    """Replay a graph. It keeps no tensor alive that it reads or writes, so whoever holds it holds `_memory` too."""
    for _ in range(times):
        graph.replay()
    torch.cuda.synchronize(device)


def _onnxruntime(model: nn.Module, batch: torch.Tensor, threads: int) -> Call:
    runtime = _package("onnxruntime")
    kind, number = batch.device.type, batch.device.index or 0
    provider = _PROVIDERS[kind]
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    where = {"device_id": number} if kind == "cuda" else {}
    session = None
    if provider in runtime.get_available_providers():
        session = runtime.InferenceSession(_exported(model, batch), options, providers=[(provider, where)])
    if session is None or provider not in session.get_providers():  # one that fails to start is left out without a word
        raise EnvironmentFailure(
            f"this onnxruntime has no {provider}", "pip install onnxruntime-gpu, or latency: {device: cpu, backend: onnxruntime}"
        )
    binding = session.io_binding()
    held = batch.detach().cpu().numpy()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, runtime.OrtValue.ortvalue_from_numpy(held, kind, number))
    binding.bind_output(session.get_outputs()[0].name, kind, number)

    def call(times: int) -> None:
        for _ in range(times):
            session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def _exported(model: nn.Module, batch: torch.Tensor) -> bytes:
    """The model as ONNX, in memory. Both are moved to the CPU for it."""
    for package in ("onnx", "onnxscript"):
        _package(package)
    program: Any = torch.onnx.export(model.cpu(), (batch.cpu(),), dynamo=True, verbose=False)
    buffer = io.BytesIO()
    program.save(buffer)
    return buffer.getvalue()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise EnvironmentFailure(
            f"latency backend 'onnxruntime' needs the package '{name}', which does not import: {error}",
            "pip install onnxruntime onnx onnxscript, or latency: {backend: eager}",
        ) from None

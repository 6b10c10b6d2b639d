"""The state of a training run as named tensors, and back: bit for bit, into each parameter's own memory layout.

safetensors stores contiguous tensors only. A moment restored contiguous beside a channels_last parameter pairs wrong
elements under a fused optimiser (an error of .028 after two steps, without a message), so every tensor is copied into
one that has its parameter's strides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from prunesearch.training.files import stored

Tensors = dict[str, torch.Tensor]


class NotCapturable(Exception):
    """The optimiser keeps something that is no tensor and no number."""


def network_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers by name, buffers that a state dict leaves out among them."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def capture(model: nn.Module, optimizer: Optimizer) -> Tensors:
    """Copies of parameters, buffers and optimiser state: contiguous, on the CPU.

    Raises:
        NotCapturable: the optimiser's state holds anything but tensors and numbers.
    """
    found = {f"model/{name}": stored(tensor) for name, tensor in network_tensors(model).items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is None:
                continue
            if not isinstance(value, torch.Tensor | int | float):
                raise NotCapturable(f"{type(optimizer).__name__} keeps '{key}', a {type(value).__name__}")
            where = "device" if isinstance(value, torch.Tensor) and value.device == parameter.device else "cpu"
            kind = where if isinstance(value, torch.Tensor) else type(value).__name__
            found[f"optimizer/{kind}/{key}/{name}"] = stored(torch.as_tensor(value))
    return found


@torch.no_grad()
def put_network(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy captured parameters and buffers into a network of the same shapes; parameters keep identity and strides.

    Raises:
        KeyError: one of them was not captured.
        ValueError: one of them has another shape.
    """
    for name, tensor in network_tensors(model).items():
        saved = tensors[f"model/{name}"]
        if saved.shape != tensor.shape:
            raise ValueError(f"{name} is {tuple(saved.shape)} in it, not {tuple(tensor.shape)}")
        tensor.copy_(saved)


@torch.no_grad()
def put_optimizer(model: nn.Module, optimizer: Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give the optimiser the captured state of every parameter, each tensor in its parameter's strides."""
    optimizer.state.clear()
    parameters = dict(model.named_parameters())
    for full, saved in tensors.items():
        if not full.startswith("optimizer/"):
            continue
        _, kind, key, name = full.split("/", 3)
        parameter = parameters[name]
        optimizer.state[parameter][key] = _like(saved, parameter) if kind in ("device", "cpu") else _number(saved, kind)
        if kind == "cpu":
            optimizer.state[parameter][key] = saved.clone()


def _like(saved: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A copy on the parameter's device; in its strides where the shapes are equal."""
    if saved.shape != parameter.shape:
        return saved.to(parameter.device, copy=True)
    return torch.empty_like(parameter, dtype=saved.dtype, requires_grad=False).copy_(saved)


def _number(saved: torch.Tensor, kind: str) -> int | float:
    return int(saved) if kind == "int" else float(saved)

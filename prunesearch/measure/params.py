"""Size and shape of a network, read from the network itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_dense(model: nn.Module) -> int:
    """Elements of all parameter tensors; a tensor that two layers share counts once."""
    return sum(p.numel() for p in model.parameters())


def count_stored(model: nn.Module, masked: Collection[str] = ()) -> int:
    """What has to be stored: non-zero elements of the masked tensors, all elements of the others.

    Args:
        model: whose parameters are counted.
        masked: names of the parameters from which single weights were removed.
    """
    return sum(int(torch.count_nonzero(p)) if name in masked else p.numel() for name, p in model.named_parameters())


def count_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def count_macs(model: nn.Module, example: torch.Tensor) -> int:
    """Multiply-accumulates of the forward pass of one example: torch's count of floating-point operations, halved.

    Args:
        model: is run once in eval mode, and put back.
        example: inputs (1, ...) on the model's device.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(example[:1])
    finally:
        model.train(training)
    return int(counter.get_total_flops()) // 2


def shape_signature(model: nn.Module) -> str:
    """16 hex digits that networks of equal layers and tensor shapes share: names, types, shapes and number formats."""
    hashed = hashlib.sha256()
    for name, module in model.named_modules():
        hashed.update(f"{name}:{type(module).__name__};".encode())
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            hashed.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
    return hashed.hexdigest()[:16]

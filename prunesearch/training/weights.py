"""Trained weights that a task starts from: a safetensors file, a state-dict file, or a state dict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from prunesearch.errors import MissingDataError, TaskError, first_line

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PARALLEL = "module."


def read_weights(weights: str | Path | Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict on the CPU.

    Files that are not .safetensors are read with `weights_only=True`, so that they run no code; a dict that holds the
    state under `state_dict`, `model_state_dict` or `model` is unwrapped, and DataParallel's prefix `module.` taken off.

    Args:
        weights: path, or state dict.

    Raises:
        MissingDataError: no such file.
        TaskError: the file holds no state dict, or would have to run code.
    """
    found: Any = weights if isinstance(weights, Mapping) else _read(Path(weights).expanduser())
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(t, torch.Tensor) for t in found.values()):
        raise TaskError("weights: hold no state dict (names and tensors)", "torch.save(model.state_dict(), path) writes one")
    state = {str(name): tensor.detach().cpu() for name, tensor in found.items()}
    wrapped = bool(state) and all(name.startswith(_PARALLEL) for name in state)
    return {name.removeprefix(_PARALLEL): t for name, t in state.items()} if wrapped else state


def put_weights(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load a state dict; every name and shape must fit.

    Raises:
        TaskError: saying which do not.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as problem:
        lines = [line.strip() for line in str(problem).splitlines()[1:4]]
        raise TaskError(
            f"weights: do not fit the model: {' '.join(lines)}", "model must make the network that was trained"
        ) from problem


def _read(path: Path) -> Any:
    if not path.is_file():
        raise MissingDataError(f"weights: there is no file {path}", "give the path of a .safetensors or state-dict file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:
        hint = "save the state dict alone: torch.save(model.state_dict(), path)"
        raise TaskError(f"weights: {path} cannot be read as tensors: {first_line(problem)}", hint) from problem

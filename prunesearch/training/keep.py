"""A pruned network on disk: model.safetensors and architecture.json. No pickle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from prunesearch.pruning.cut import architecture

WEIGHTS = "model.safetensors"
ARCHITECTURE = "architecture.json"


def keep_network(model: nn.Module, folder: str | Path) -> None:
    """Write a network's tensors and widths into `folder`; each file is there whole or not at all.

    A new folder appears with both files at once; in one that exists they replace their namesakes.

    Args:
        model: any network; tensors are stored contiguous, for safetensors takes no other memory format.
        folder: made if need be.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        state = {name: _stored(t) for name, t in model.state_dict().items() if isinstance(t, torch.Tensor)}
        save_file(state, draft / WEIGHTS)
        (draft / ARCHITECTURE).write_text(json.dumps(architecture(model), indent=1), encoding="utf-8")
        draft.chmod(0o755)
        if target.exists():
            for name in (WEIGHTS, ARCHITECTURE):
                os.replace(draft / name, target / name)  # noqa: PTH105 - one atomic step
        else:
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous copy that shares memory with nothing."""
    return tensor.detach().to("cpu", copy=True).contiguous()

"""A pruned network on disk: model.safetensors and architecture.json. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from prunesearch.drafts import beside, writing
from prunesearch.pruning.cut import architecture
from prunesearch.results import ARCHITECTURE, WEIGHTS
from prunesearch.training.files import stored


def keep_network(model: nn.Module, folder: str | Path) -> None:
    """Write a network's tensors and widths into `folder`; each file is there whole or not at all.

    A new folder appears with both files at once; in one that exists they replace their namesakes.

    Args:
        model: any network; tensors are stored contiguous, for safetensors takes no other memory format.
        folder: made if need be.

    Raises:
        EnvironmentFailure: it cannot be written.
    """
    target = Path(folder)
    state = {name: stored(t) for name, t in model.state_dict().items() if isinstance(t, torch.Tensor)}
    with writing(target), beside(target) as draft:
        draft.mkdir()
        save_file(state, draft / WEIGHTS)
        (draft / ARCHITECTURE).write_text(json.dumps(architecture(model), indent=1), encoding="utf-8")
        if target.exists():
            for name in (WEIGHTS, ARCHITECTURE):
                os.replace(draft / name, target / name)  # noqa: PTH105 - one atomic step
        else:
            draft.rename(target)

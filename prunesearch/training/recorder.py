"""Records a run: initial network, every epoch as it was measured, and the network that was left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from prunesearch.policy import Policy
from prunesearch.pruning.outlets import PRODUCERS
from prunesearch.pruning.running import outputs
from prunesearch.pruning.session import PruningSession
from prunesearch.pruning.unfolding import unfolded
from prunesearch.recordings import Draft
from prunesearch.results import EpochRow, Measures
from prunesearch.training.prepare import Prepared


class Recorder:
    """One run's recording; a context manager, see `Draft`.

    Args:
        to: the folder.
        prepared: the task.
        policy: what is done to the network.
        seed: of the run.
    """

    def __init__(self, to: str | Path, prepared: Prepared, policy: Policy | None, seed: int) -> None:
        self._prepared, self._policy, self._seed = prepared, policy, seed
        self._dense = dict(prepared.dense.named_parameters())
        self._draft = Draft(to, prepared.info.params)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._draft.__exit__(kind, error, trace)

    def begin(self, model: nn.Module) -> None:
        """The network before its first step; a run that begins anew forgets what was recorded of it."""
        self._draft.restart()
        self._add("initial", -1, None, model, None)

    def epoch(self, row: EpochRow, model: nn.Module, session: PruningSession | None) -> None:
        """The network after an epoch; call it while the session is measuring."""
        self._add("epoch", row.epoch, row, model, session)

    def end(self, epochs: int, model: nn.Module, session: PruningSession | None) -> None:
        """The network that the session has left."""
        self._add("final", epochs, None, model, session)

    def close(self, measures: Measures | None) -> Path:
        """Put the recording in its place.

        Args:
            measures: of the network that was left.
        """
        info = asdict(self._prepared.info)
        told = {"task": info["name"], "metric": info["metric"], "direction": info["direction"], "params": info["params"]}
        told |= {"input_shape": info["input_shape"], "device": info["device"], "seed": self._seed}
        told |= {"policy": self._policy.to_dict() if self._policy else None, "groups": info["groups"]}
        return self._draft.close(
            {**told, "measures": measures.to_dict() if measures else None, "layers": _layers(self._prepared.dense, self._example)}
        )

    @property
    def _example(self) -> torch.Tensor:
        return self._prepared.example[:1]

    def _add(self, kind: str, epoch: int, row: EpochRow | None, model: nn.Module, session: PruningSession | None) -> None:
        groups, gone = (session.chosen, session.gone) if session else ((), {})
        values, masks = unfolded(model, self._dense, groups, gone)
        self._draft.add(kind, epoch, row, {n: v.float().cpu().numpy() for n, v in values.items()}, _arrays(masks))


def _arrays(masks: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {name: mask.cpu().numpy() for name, mask in masks.items()}


def _layers(model: nn.Module, example: torch.Tensor) -> list[dict[str, Any]]:
    """The layers with weights of their own, in the order in which they run; each once."""
    names, found = {module: name for name, module in model.named_modules()}, dict[str, dict[str, Any]]()
    weights = {id(p): name for name, p in model.named_parameters()}

    def seen(module: nn.Module, _given: Any, _output: Any) -> None:
        weight = weights.get(id(getattr(module, "weight", None)))
        if weight is not None:
            conv = not isinstance(module, nn.Linear)
            how = {"transposed": module.transposed, "groups": module.groups} if conv else {}
            found.setdefault(weight, {"name": names[module], "weight": weight, "conv": conv, **how})

    hooks = [m.register_forward_hook(seen) for m in names if isinstance(m, PRODUCERS)]
    try:
        outputs(model, example)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())

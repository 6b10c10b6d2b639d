"""From a bundle back to the network: a fresh instance of the task's class, the recorded widths, the recorded weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.export.bundle import WEIGHTS, checksum_of, read_architecture
from prunesearch.tasks.catalogue import DATA
from prunesearch.tasks.reference import FOREIGN, load_task, parse_reference

if TYPE_CHECKING:
    from torch import nn


def load_bundle(bundle: str | Path, task: str | None, data_dir: str | None) -> nn.Module:
    """The pruned network of a bundle, on the CPU, in eval mode.

    Raises:
        UsageError: the folder is no bundle.
        TaskError: the task does not load, or its network is of another class.
        EnvironmentFailure: the weights are missing or damaged.
    """
    from safetensors.torch import load_file

    from prunesearch.pruning.cut import rebuild

    described = read_architecture(bundle)
    weights = Path(bundle) / WEIGHTS
    _check(weights, str(described.get("weights_sha256")))
    model = rebuild(fresh_model(task or str(described.get("task")), data_dir), described)
    model.load_state_dict(load_file(weights))
    return model.eval()


def fresh_model(task: str, data_dir: str | None) -> nn.Module:
    """A fresh instance of a task's network. Built-in tasks need no data for it.

    Raises:
        TaskError: the task does not load.
        MissingDataError: its file needs data that is not there.
    """
    found = parse_reference(task)
    if found.kind != "builtin":
        return load_task(task, data_dir=data_dir).model()
    from prunesearch import models
    from prunesearch.tasks.networks import network as foreign

    about = DATA[found.source]
    if found.what.startswith(FOREIGN):
        return foreign(found.what, about.shape, about.classes)()
    ready = about.networks[found.what]
    model: nn.Module = getattr(models, ready.build)(**ready.kwargs)
    return model


def _check(weights: Path, checksum: str) -> None:
    try:
        found = checksum_of(weights)
    except OSError as error:
        raise EnvironmentFailure(f"cannot read '{weights}': {error.strerror or error}", "export the trial again") from None
    if found != checksum:
        raise TaskError(f"'{weights}' is damaged: its checksum is not the one in architecture.json", "export the trial again")

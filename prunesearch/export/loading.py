"""From a bundle back to the network: a fresh instance of the task's class, the recorded widths, the recorded weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.export.bundle import checksum_of, read_architecture
from prunesearch.results import WEIGHTS
from prunesearch.tasks.catalogue import DATA
from prunesearch.tasks.reference import FOREIGN, load_task, parse_reference
from prunesearch.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn


def load_bundle(bundle: str | Path, task: str | Task | None, data_dir: str | None) -> nn.Module:
    """The pruned network of a bundle, on the CPU, in eval mode.

    Args:
        bundle: the folder.
        task: what makes the network; None: the task that the bundle names, which may be Python anywhere but in the bundle.
        data_dir: folder of the data sets.

    Raises:
        UsageError: the folder is no bundle.
        TaskError: the task does not load, or its network is of another class; the bundle names none that can be loaded; the
            weights are not those that the bundle names.
        EnvironmentFailure: the weights are missing.
    """
    from safetensors.torch import load_file

    from prunesearch.pruning.cut import rebuild

    described = read_architecture(bundle)
    weights = Path(bundle) / WEIGHTS
    _check(weights, str(described.get("weights_sha256")))
    model = rebuild(fresh_model(_named(Path(bundle), described) if task is None else task, data_dir), described)
    model.load_state_dict(load_file(weights))
    return model.eval()


def _named(bundle: Path, described: Mapping[str, Any]) -> str:
    """The task that a bundle names.

    Raises:
        TaskError: there is none, its file is not here, or it is Python that came with the bundle: that would be run.
    """
    ref, hint = described.get("task"), "give task=: a reference, the Task, or the function that makes it"
    if not isinstance(ref, str):
        raise TaskError(f"only the process that made '{bundle}' had its task", hint)
    found = parse_reference(ref)
    if found.kind == "python" and _within(found.source, bundle):
        raise TaskError(f"'{bundle}' names Python of its own as its task, '{ref}': it is not run", hint)
    if found.source.endswith(".py") and not Path(found.source).expanduser().is_file():
        raise TaskError(f"the task of '{bundle}' is '{ref}', and there is no such file here", hint)
    return ref


def _within(source: str, bundle: Path) -> bool:
    """Whether a file, or a module wherever Python may look for it, lies in a folder."""
    path = Path(source).expanduser()
    places = [path] if source.endswith(".py") else [Path(place, *source.split(".")) for place in (".", *sys.path)]
    return any(place.resolve().is_relative_to(bundle.resolve()) for place in places)


def fresh_model(task: str | Task, data_dir: str | None) -> nn.Module:
    """A fresh instance of a task's network. Built-in tasks need no data for it.

    Raises:
        TaskError: the task does not load.
        MissingDataError: its file needs data that is not there.
    """
    if isinstance(task, Task):
        return task.model()
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

"""The digest of a task: a hash of everything on which its results depend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import torch
from torch import nn

from prunesearch.errors import TaskError
from prunesearch.tasks.contents import Reader, add_tensor
from prunesearch.tasks.reference import parse_reference
from prunesearch.tasks.sources import source_digest
from prunesearch.tasks.task import Task, is_dataset
from prunesearch.tasks.told import told
from prunesearch.tasks.types import Source

SAMPLED = 64
"""Examples of a map-style data set that are read for its fingerprint, evenly spaced."""
_NOT_RECIPE = frozenset({"train", "val", "test", "weights", "version", "name", "example"})


def task_digest(
    task: Task, ref: str, initial: Mapping[str, torch.Tensor], model: nn.Module, sources: Mapping[str, Source]
) -> tuple[str, bool]:
    """16 hex digits that change with the initial tensors, structure, data, recipe, and the user's source.

    What cannot be read (a loader, a data set that cannot be indexed) counts by its length and by `task.version`. Callables count
    by their code and by what they hold: see `contents`.

    Args:
        task: whose recipe is hashed.
        ref: how it was loaded; the file that it names is hashed with what it imports. An explicit `version` stands for it,
            and for the globals that callables name.
        initial: initial values by name.
        model: a network of the task.
        sources: the raw splits.

    Returns:
        The digest, and whether it knows all code: by what could be read of callables, by the user's file or by `version`.

    Raises:
        TaskError: an example of a data set cannot be read.
    """
    source, reader = task.version or _source(ref), Reader(names=task.version is None)
    recipe = {f.name: getattr(task, f.name) for f in fields(task) if f.name not in _NOT_RECIPE}
    parts = {
        "tensors": _tensors(initial),
        "structure": hashlib.sha256(repr(model).encode()).hexdigest(),
        "data": {name: _read(name, split) for name, split in sorted(sources.items())},
        "recipe": {name: reader.said(value) if callable(value) else repr(value) for name, value in recipe.items()},
        "source": source,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16], reader.whole or bool(source)


def fingerprint(source: Source) -> str:
    """Hash of a split: all of a pair of tensors, some examples of a data set, the length of a loader."""
    hashed, data = hashlib.sha256(), cast("Any", source)
    if isinstance(source, tuple):
        for tensor in source:
            add_tensor(hashed, tensor)
    elif is_dataset(source):
        count = len(data)
        hashed.update(f"{type(data).__qualname__}:{count};".encode())
        for i in range(0, count, max(1, count // SAMPLED)):
            for part in data[i]:
                add_tensor(hashed, torch.as_tensor(part))
    else:
        hashed.update(f"loader:{len(data())};".encode())
    return hashed.hexdigest()


def _read(name: str, source: Source) -> str:
    with told(f"{name}: reading it fails"):
        return fingerprint(source)


def _tensors(values: Mapping[str, torch.Tensor]) -> str:
    hashed = hashlib.sha256()
    for name, tensor in sorted(values.items()):
        hashed.update(name.encode())
        add_tensor(hashed, tensor)
    return hashed.hexdigest()


def _source(ref: str) -> str:
    """Hash of the user's file that a reference names; empty where it names none."""
    try:
        found = parse_reference(ref)
    except TaskError:
        return ""
    return source_digest(found.source) if found.kind == "python" else ""

"""The digest of a task: a hash of everything on which its results depend."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import torch
from torch import nn

from prunesearch.errors import TaskError
from prunesearch.tasks.reference import parse_reference
from prunesearch.tasks.task import Task, is_dataset
from prunesearch.tasks.types import Source
from prunesearch.tasks.userfile import source_digest

SAMPLED = 64
"""Examples of a map-style data set that are read for its fingerprint, evenly spaced."""
_NOT_RECIPE = frozenset({"train", "val", "test", "weights", "version", "name", "example"})


def task_digest(
    task: Task, ref: str, initial: Mapping[str, torch.Tensor], model: nn.Module, sources: Mapping[str, Source]
) -> str:
    """16 hex digits that change with the initial tensors, structure, data, recipe, and the user's source.

    What cannot be read (a loader, a data set that cannot be indexed) counts by its length and by `task.version`.

    Args:
        task: whose recipe is hashed.
        ref: how it was loaded; the file that it names is hashed with what it imports. An explicit `version` stands for it.
        initial: initial values by name.
        model: a network of the task.
        sources: the raw splits.
    """
    parts = {
        "tensors": _tensors(initial),
        "structure": hashlib.sha256(repr(model).encode()).hexdigest(),
        "data": {name: fingerprint(source) for name, source in sorted(sources.items())},
        "recipe": {f.name: _said(getattr(task, f.name)) for f in fields(task) if f.name not in _NOT_RECIPE},
        "source": task.version or _source(ref),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(source: Source) -> str:
    """Hash of a split: all of a pair of tensors, some examples of a data set, the length of a loader."""
    hashed, data = hashlib.sha256(), cast("Any", source)
    if isinstance(source, tuple):
        for tensor in source:
            _add(hashed, tensor)
    elif is_dataset(source):
        count = len(data)
        hashed.update(f"{type(data).__qualname__}:{count};".encode())
        for i in range(0, count, max(1, count // SAMPLED)):
            for part in data[i]:
                _add(hashed, torch.as_tensor(part))
    else:
        hashed.update(f"loader:{len(data())};".encode())
    return hashed.hexdigest()


def _tensors(values: Mapping[str, torch.Tensor]) -> str:
    hashed = hashlib.sha256()
    for name, tensor in sorted(values.items()):
        hashed.update(name.encode())
        _add(hashed, tensor)
    return hashed.hexdigest()


def _add(hashed: hashlib._Hash, tensor: torch.Tensor) -> None:
    hashed.update(f"{tuple(tensor.shape)}:{tensor.dtype};".encode())
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    hashed.update(flat.view(torch.uint8).numpy().data)


def _said(value: Any) -> Any:
    """A field as plain data: functions by name, arguments and source."""
    if isinstance(value, functools.partial):
        return [_said(value.func), repr(value.args), repr(sorted(value.keywords.items()))]
    if callable(value):
        return [getattr(value, "__qualname__", type(value).__qualname__), _code(value)]
    return repr(value)


def _code(value: Any) -> str:
    try:
        return hashlib.sha256(
            inspect.getsource(value if inspect.isroutine(value) or inspect.isclass(value) else type(value)).encode()
        ).hexdigest()
    except (OSError, TypeError):  # built in, or typed at a prompt
        return ""


def _source(ref: str) -> str:
    """Hash of the user's file that a reference names; empty where it names none."""
    try:
        found = parse_reference(ref)
    except TaskError:
        return ""
    return source_digest(found.source) if found.kind == "python" else ""

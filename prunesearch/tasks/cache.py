"""Decoded data once per host: arrays in a file that all processes map, so that memory holds them once, and only one decodes.

What is mapped is private to the writer (copy on write), so no process can change what another reads. A file is replaced
when what it was made from has changed, or when it is damaged. Where it cannot be written, every process has its own copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from prunesearch.errors import first_line
from prunesearch.tasks.types import Source
from prunesearch.training.augment import pad, unpadded
from prunesearch.training.files import Tensors, checksum, opened, remove_drafts, write_whole

SMALLEST = 1 << 20
"""Bytes from which a split is worth a file of its own; below it every process has a copy."""

_CONTENT = "content"
"""The stamp of files whose content is compared."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArrayCache:
    """Arrays by name.

    Args:
        folder: where the files lie, made when first needed; None: nothing is kept.
    """

    folder: Path | None = None

    def kept(self, name: str, stamp: Callable[[], str], make: Callable[[], Tensors]) -> Tensors:
        """The arrays that `make` gives, made by the first process that needs them.

        Args:
            name: whose arrays; another name is another file.
            stamp: what they are made from, in words that change with it; "" where that is not there.
            make: decodes them. It may change the stamp, as unpacking does.

        Returns:
            Tensors on the CPU, contiguous. Nobody may write into them.
        """
        if self.folder is None:
            return make()
        path = self._path(name)
        if (found := _read(path, stamp())) is not None:
            return found
        with _alone(path):
            if (found := _read(path, stamp())) is not None:
                return found  # another process has just made them
            made = make()
            return _written(path, made, stamp()) or made

    def held(
        self, name: str, sources: Mapping[str, Source], margins: Mapping[str, int] = MappingProxyType({})
    ) -> dict[str, Source]:
        """The same splits, their large arrays as all processes of the host map them.

        Content decides: what lies in the file is compared with what is given, all bytes, and replaced where it differs.

        Args:
            name: the task's.
            sources: splits by name; only pairs of tensors on the CPU are touched.
            margins: split -> pixels of zeros that lie around its images, for crops; the images themselves are views.
        """
        if self.folder is None:
            return dict(sources)
        return {part: self._shared(f"{name} {part}", source, margins.get(part, 0)) for part, source in sources.items()}

    def _shared(self, name: str, source: Source, p: int) -> Source:
        if not isinstance(source, tuple) or not _worthy(*source):
            return source
        p = p if source[0].dim() == 4 else 0
        given = _apart(pad(_images_inside_out(source[0]), p), source[1].contiguous())
        path = self._path(name)
        with _alone(path):
            found = _read(path, _CONTENT)
            if found is None or not _same(found, given):
                found = _written(path, given, _CONTENT)
        return source if found is None else (_images_as_given(unpadded(found["x"], p), source[0]), found["y"])

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        word = re.sub(r"\W+", "-", name).strip("-")[:40]
        return self.folder / f"{word}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.safetensors"


NOTHING_KEPT = ArrayCache()
"""Every process decodes for itself."""


def stamp_of(files: Iterable[Path], *words: object) -> str:
    """Names, sizes and times of change of files, in order of their names; "" where there are none."""
    found = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(files) if f.is_file()]
    return json.dumps([*found, *map(str, words)]) if found else ""


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time. Where no lock can be made nothing can be written either, and nobody waits."""
    try:
        lock = opened(path.with_suffix(".lock"))
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path, stamp: str) -> Tensors | None:
    """What a file holds, mapped; None where it is not there, damaged, or made from something else."""
    try:
        with safe_open(path, "pt") as held:
            facts = held.metadata() or {}
            if not stamp or facts.get("stamp") != stamp:
                return None
            tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - not a mapping
        if facts.get("checksum") != checksum(tensors):
            raise ValueError("the checksum does not fit")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SafetensorError) as problem:
        log.warning("%s is damaged (%s); it is made again", path, problem)
        return None
    return tensors


def _written(path: Path, tensors: Tensors, stamp: str) -> Tensors | None:
    """The same tensors, mapped from a file that is written here; None where it cannot be."""
    facts = {"stamp": stamp, "checksum": checksum(tensors)}
    remove_drafts(path.parent)
    try:
        write_whole(path, lambda draft: save_file(dict(tensors), draft, metadata=facts))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as problem:  # or what the format cannot hold
        reason = getattr(problem, "strerror", None) or first_line(problem)
        log.warning("decoded data is not kept in %s: %s; every worker has its own copy", path.parent, reason)
        return None
    return _read(path, stamp)


def _worthy(*pair: Any) -> bool:
    """Whether inputs and targets are tensors in this process's memory, and the inputs are large."""
    plain = all(isinstance(t, torch.Tensor) and t.device.type == "cpu" and t.layout == torch.strided for t in pair)
    return plain and pair[0].numel() * pair[0].element_size() >= SMALLEST


def _images_inside_out(x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) -> (n, h, w, c), as batches are taken from: else every process would turn its own copy."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).contiguous()


def _apart(x: torch.Tensor, y: torch.Tensor) -> Tensors:
    """Inputs and targets as a file holds them: in no memory that both share, as an autoencoder's do."""
    same = x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    return {"x": x, "y": y.clone() if same else y}


def _images_as_given(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2) if like.dim() == 4 else x


def _same(one: Tensors, other: Tensors) -> bool:
    """Whether names, types, shapes and all bytes are equal."""
    return one.keys() == other.keys() and all(
        one[n].dtype == t.dtype and one[n].shape == t.shape and torch.equal(_bytes(one[n]), _bytes(t)) for n, t in other.items()
    )


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)

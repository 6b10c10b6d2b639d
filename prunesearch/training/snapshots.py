"""Snapshots on disk and in memory: what was trained once is there for every worker of the host, and for later searches.

A snapshot is a safetensors file and a JSON file beside it, under one key. The JSON holds what is known of the stage (its
parent, its epoch's row, the checksum of the tensors) and stays when the tensors go: the byte budget is for tensors. Files
appear whole or not at all. What is damaged is dropped with a warning, and trained again.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, TensorSpec, serialize_file
from safetensors.torch import load

from prunesearch.training.files import Tensors, checksum, locked, opened, remove_drafts, write_whole

log = logging.getLogger(__name__)

_POLL = 0.01
"""Seconds between two tries for a stage that another process is training."""
_UNSEEN = 1 / 16
"""Share of the budget that a worker writes between two looks at what all together have on disk. A look costs the more the
more files there are, and then comes the more seldom: a tenth of a millisecond per snapshot."""


@dataclass
class SnapshotStore:
    """Tensors and facts by key, under a byte budget, shared through a folder.

    Args:
        folder: where files lie; made when first needed.
        budget: bytes of tensors on disk, all workers together and what earlier searches left; 0 keeps facts only.
        memory: bytes of tensors that this process also keeps in memory.

    Attributes:
        waited: seconds spent waiting for stages that other processes were training.
    """

    folder: Path
    budget: int
    memory: int = 256 << 20
    waited: float = 0.0
    _recent: OrderedDict[str, Tensors] = field(default_factory=OrderedDict)
    _recent_bytes: int = 0
    _uncounted: float = math.inf
    _full: bool = False

    def facts(self, key: str) -> dict[str, Any] | None:
        """What is known of a stage, or None. A file that cannot be read counts as absent, and goes."""
        path = self._path(key, "json")
        try:
            found: dict[str, Any] = {**json.loads(path.read_text(encoding="utf-8"))}
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError):
            self.drop(key, "its facts cannot be read")
            return None
        return found

    def has(self, key: str) -> bool:
        """Whether the tensors of a stage are there."""
        return key in self._recent or self._path(key, "safetensors").exists()

    def get(self, key: str) -> Tensors | None:
        """The tensors of a stage, contiguous, on the CPU; None where they are not there or damaged."""
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        path = self._path(key, "safetensors")
        try:
            tensors: Tensors = load(path.read_bytes())  # no memory map: the file may be evicted, or damaged, while it is used
            known = self.facts(key)
            if known is None or known["checksum"] != checksum(tensors):
                raise ValueError("the checksum does not fit")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, SafetensorError) as problem:
            self.drop(key, str(problem))
            return None
        _touch(path)
        self._remember(key, tensors)
        return tensors

    def put(self, key: str, tensors: Tensors, facts: Mapping[str, Any]) -> None:
        """Keep a stage. A full disk is told once, and from then on only facts that fit are kept.

        Args:
            key: the stage.
            tensors: contiguous tensors on the CPU that nobody changes any more.
            facts: plain data for JSON.
        """
        self._remember(key, tensors)
        fits, size = not self._full and _size(tensors) <= self.budget, 0
        try:
            if fits:
                size = write_whole(self._path(key, "safetensors"), lambda draft: _save(tensors, draft))
            known = json.dumps({**facts, "checksum": checksum(tensors) if fits else "", "bytes": size})
            write_whole(self._path(key, "json"), lambda draft: draft.write_bytes(known.encode()))
        except (OSError, SafetensorError) as problem:
            _remove(self._path(key, "safetensors"))
            self._give_up(problem)
            return
        self._uncounted += size
        if size and self._uncounted >= _UNSEEN * self.budget:
            self._make_room()

    def amend(self, key: str, facts: Mapping[str, Any]) -> None:
        """Replace what is known of a stage; where that cannot be written, all stays as it was."""
        with suppress(OSError):
            write_whole(self._path(key, "json"), lambda draft: draft.write_bytes(json.dumps(facts).encode()))

    @contextmanager
    def claimed(self, key: str, between: Callable[[], None]) -> Iterator[None]:
        """Hold the right to train a stage; waits while another process has it. It ends with the process that holds it.

        Args:
            key: the stage.
            between: called while waiting: who waits must not keep a latency measurement from the device.
        """
        path = self._path(key, "claim")
        try:
            handle = opened(path)
        except OSError as problem:  # nobody can keep the stage either, so nobody waits for it
            self._give_up(problem)
            yield
            return
        with handle:
            while not locked(handle):
                between()
                self._sleep()
            try:
                yield
            finally:
                _remove(path)

    def _give_up(self, problem: Exception) -> None:
        if not self._full:
            reason = getattr(problem, "strerror", None) or problem
            log.warning("snapshots are no longer kept in %s: %s; training goes on", self.folder, reason)
        self._full = True

    def _sleep(self) -> None:
        began = time.perf_counter()
        time.sleep(_POLL)
        self.waited += time.perf_counter() - began

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / key[:2] / f"{key}.{kind}"

    def _remember(self, key: str, tensors: Tensors) -> None:
        size = _size(tensors)
        if size > self.memory or key in self._recent:
            return
        self._recent[key] = tensors
        self._recent_bytes += size
        while self._recent_bytes > self.memory:
            _, oldest = self._recent.popitem(last=False)
            self._recent_bytes -= _size(oldest)

    def drop(self, key: str, why: str) -> None:
        """Remove a stage that is of no use, with a warning."""
        log.warning("snapshot %s is damaged (%s); it is dropped and trained again", key[:12], why)
        if key in self._recent:
            self._recent_bytes -= _size(self._recent.pop(key))
        for kind in ("safetensors", "json"):
            _remove(self._path(key, kind))

    def _make_room(self) -> None:
        """Remove tensors until nine tenths of the budget are left: of the pruned before the dense, least recent first."""
        self._uncounted = 0
        remove_drafts(self.folder)
        files = list(self._on_disk())
        total = sum(stat.st_size for _, stat in files)
        if total <= self.budget:
            return
        dense = {path for path, _ in files if (self.facts(path.stem) or {}).get("dense")}
        for path, stat in sorted(files, key=lambda f: (f[0] in dense, f[1].st_mtime_ns)):
            if total <= 0.9 * self.budget:
                break
            _remove(path)
            total -= stat.st_size

    def _on_disk(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.glob("*/*.safetensors"):
            with suppress(FileNotFoundError):  # another worker has just removed it
                yield path, path.stat()


def _remove(path: Path) -> None:
    """Remove a file; one that is gone, or cannot be removed, is no reason to end a trial."""
    with suppress(OSError):
        path.unlink()


def _size(tensors: Tensors) -> int:
    return sum(t.numel() * t.element_size() for t in tensors.values())


def _save(tensors: Tensors, path: Path) -> None:
    """A safetensors file straight from memory: `save_file` takes twice as long over the many small tensors of a small network."""
    specs = {
        name: TensorSpec(
            dtype=str(t.dtype).removeprefix("torch."),
            shape=tuple(t.shape),
            data_ptr=t.data_ptr(),
            data_len=t.numel() * t.element_size(),
        )
        for name, t in tensors.items()
    }
    serialize_file(specs, path)


def _touch(path: Path) -> None:
    now = time.time()
    try:
        os.utime(path, (now, now))
    except OSError:  # evicted by another worker meanwhile: the tensors are read already
        return

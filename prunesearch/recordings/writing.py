"""Writing a recording: state by state into a draft beside its folder, which appears when all of it is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from prunesearch.drafts import beside, writing
from prunesearch.errors import UsageError
from prunesearch.recordings.packing import Mask, pack
from prunesearch.recordings.sampling import WHOLE, WIDTH, cut_out, sides
from prunesearch.results import EpochRow

FORMAT = 1
"""Version of the files; raised when what is there changes its meaning or goes."""
INDEX = "recording.json"


def refuse_existing(to: str | Path, *, force: bool = False) -> Path:
    """The folder's path, if a recording may be written there.

    Args:
        to: the folder.
        force: let a recording that is there be replaced; anything else never is.

    Raises:
        UsageError: something is there.
        EnvironmentFailure: the path is none that can be written.
    """
    target = Path(to)
    with writing(target):
        there, recorded = target.exists(), (target / INDEX).is_file()
    if there and not (force and recorded):
        hint = "--force replaces it" if recorded else "it is no recording, so nothing is overwritten: give another folder"
        raise UsageError(f"'{target}' is there already", hint)
    return target


def put_in_place(made: str | Path, to: str | Path, *, force: bool = False) -> Path:
    """Give a recording its place; one that it replaces goes when the new one is there.

    Args:
        made: the recording, on the same disk.
        to: its place.
        force: let a recording that is there by now be replaced; anything else never is.

    Raises:
        UsageError: something is there.
        EnvironmentFailure: it cannot be put there.
    """
    target = refuse_existing(to, force=force)
    with writing(target), beside(target) as old:
        try:
            if target.exists():
                target.rename(old)
            Path(made).rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
    return target


class Draft:
    """A recording in the making; a context manager that leaves nothing behind unless `close` was called.

    Args:
        to: the folder; nothing may be there when `close` is called.
        params: parameters of the dense network; above `WHOLE` a sample of every tensor is kept.

    Raises:
        EnvironmentFailure: the folder cannot be made.
    """

    def __init__(self, to: str | Path, params: int) -> None:
        self._target, self.sampled = Path(to), params > WHOLE
        self._made = ExitStack()
        self._folder = self._made.enter_context(beside(self._target))
        with writing(self._target):
            self._folder.mkdir()
        self._states: list[dict[str, Any]] = []
        self._shapes: dict[str, list[int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._made.close()

    def restart(self) -> None:
        """Forget all states: the run has begun anew."""
        self._states.clear()

    def add(
        self, kind: str, epoch: int, row: EpochRow | None, values: Mapping[str, NDArray[np.float32]], kept: Mapping[str, Mask]
    ) -> None:
        """Write one state.

        Args:
            kind: initial, epoch or final.
            epoch: -1, the epoch, or N.
            row: the epoch's figures, where it is one.
            values: every parameter in the dense network's shape, zero where it is masked.
            kept: what is left, for parameters from which something is gone.

        Raises:
            EnvironmentFailure: it cannot be written.
        """
        cut = cut_out if self.sampled else np.asarray
        tensors: dict[str, NDArray[Any]] = {f"weight/{n}": np.ascontiguousarray(cut(v), np.float32) for n, v in values.items()}
        for name, mask in kept.items():
            tensors[f"kept/{name}"] = pack(np.asarray(cut(mask), np.bool_))
            if self.sampled and mask.ndim > 1:
                tensors[f"rows/{name}"], tensors[f"columns/{name}"] = map(pack, sides(mask))
        path = self._folder / f"{len(self._states):04}.safetensors"
        with writing(self._target):
            save_file(tensors, path)
            path.chmod(0o644)  # safetensors makes files that only their owner may read
        self._shapes = {name: list(value.shape) for name, value in values.items()}
        left = {name: int(np.count_nonzero(mask)) for name, mask in kept.items()}
        told = {"kind": kind, "epoch": epoch, "row": asdict(row) if row else None, "kept": left}
        self._states.append(told | {"file": path.name, "sha256": checksum(path)})

    def close(self, about: Mapping[str, Any]) -> Path:
        """Write the index and put the folder in its place.

        Args:
            about: what else the index holds.

        Raises:
            UsageError: something is there by now.
            EnvironmentFailure: it cannot be written.
        """
        sample = {"outputs": WIDTH, "inputs": WIDTH} if self.sampled else None
        told = {"format": FORMAT, **about, "sample": sample, "shapes": self._shapes, "states": self._states}
        with writing(self._target):
            (self._folder / INDEX).write_text(json.dumps(told, indent=1), encoding="utf-8")
        return put_in_place(self._folder, self._target)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

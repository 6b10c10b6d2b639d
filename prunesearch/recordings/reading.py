"""Reading a recording. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prunesearch.errors import UsageError
from prunesearch.policy import Policy
from prunesearch.recordings.packing import Mask, unpack
from prunesearch.recordings.sampling import Sides
from prunesearch.recordings.writing import FORMAT, INDEX, checksum
from prunesearch.results import EpochRow


@dataclass(frozen=True)
class State:
    """One moment of a run.

    Args:
        kind: initial (before the first step), epoch (after one, as measured) or final (as the run left it).
        epoch: -1, the epoch, or N.
        row: the epoch's figures; None where it is no epoch.
        kept: weights that are left, of parameters from which something is gone.
        file: where its tensors are.
        sha256: the file's checksum.
    """

    kind: Literal["initial", "epoch", "final"]
    epoch: int
    row: EpochRow | None
    kept: Mapping[str, int]
    file: str
    sha256: str


@dataclass(frozen=True)
class Layer:
    """One Linear or Conv layer, in the order in which the network runs them.

    Args:
        name: of the layer.
        weight: name of its weight.
        conv: whether it is a convolution.
        transposed: whether its weight is (in, out, ...) rather than (out, in, ...).
        groups: of a convolution.
    """

    name: str
    weight: str
    conv: bool = False
    transposed: bool = False
    groups: int = 1


@dataclass(frozen=True)
class Tensors:
    """A state's parameters.

    Args:
        values: all of them, or a sample of each.
        kept: which values are left, of parameters from which something is gone.
        sides: of a sample, where anything at all is left of these, see `sampling.sides`; older recordings have none.
    """

    values: Mapping[str, NDArray[np.float32]]
    kept: Mapping[str, Mask]
    sides: Mapping[str, Sides]

    def left(self, name: str) -> Mask:
        """What is left of a parameter, in its shape."""
        mask = self.kept.get(name)
        return np.ones(self.values[name].shape, np.bool_) if mask is None else mask


@dataclass(frozen=True)
class Recording:
    """A recorded run.

    Args:
        folder: where it lies.
        about: what recording.json holds beside the states.
        states: in the order of time.
    """

    folder: Path
    about: Mapping[str, Any]
    states: tuple[State, ...]

    @classmethod
    def read(cls, folder: str | Path) -> Recording:
        """The recording of a folder; tensors are read when they are asked for.

        Raises:
            UsageError: the folder is not there, is no recording, or was written by a newer prunesearch.
        """
        path, hint = Path(folder), "'prunesearch run POLICY --task TASK --record DIR' writes one"
        if not path.is_dir():
            raise UsageError(f"recording: there is no folder '{folder}'", hint)
        try:
            plain = json.loads((path / INDEX).read_text(encoding="utf-8"))
            if plain["format"] > FORMAT:
                raise UsageError(f"'{folder}' was recorded by a newer prunesearch", "update this one")
            states = tuple(_state(s) for s in plain["states"])
            if not states:
                raise ValueError("it has no states")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"'{folder}' is not a recording: {INDEX} cannot be read ({error})", hint) from None
        return cls(path, {k: v for k, v in plain.items() if k != "states"}, states)

    @property
    def frames(self) -> tuple[State, ...]:
        """The states that differ: the final one is left out where it is the last epoch's network."""
        *before, last = self.states
        same = before and last.kind == "final" and last.sha256 == before[-1].sha256
        return tuple(before) if same else self.states

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The Linear and Conv layers in the network's order."""
        return tuple(Layer(**plain) for plain in self.about["layers"])

    @property
    def policy(self) -> Policy | None:
        """What was done to the network; None: it stayed dense."""
        plain = self.about["policy"]
        made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in (plain or {}).items()}
        return Policy.model_construct(None, **made) if plain else None

    @property
    def sampled(self) -> bool:
        """Whether only a sample of every tensor was recorded."""
        return bool(self.about["sample"])

    def shape(self, name: str) -> tuple[int, ...]:
        """A parameter's shape in the dense network, all of it."""
        return tuple(self.about["shapes"][name])

    def counts(self, state: State, name: str) -> tuple[int, int]:
        """Weights that are left of a parameter, and all that it had, whatever was sampled."""
        total = prod(self.shape(name))
        return state.kept.get(name, total), total

    def sparsity(self, state: State) -> float:
        """Fraction of the dense network's parameters that is gone."""
        total: int = sum(prod(s) for s in self.about["shapes"].values())
        return sum(prod(self.shape(n)) - k for n, k in state.kept.items()) / max(1, total)

    def tensors(self, state: State) -> Tensors:
        """A state's parameters.

        Raises:
            UsageError: the file is missing or damaged.
        """
        path = self.folder / state.file
        try:
            if checksum(path) != state.sha256:
                raise ValueError("its checksum is another one")
            plain = load_file(path)
            values = _under("weight/", plain)
            kept = {n: unpack(t, values[n].shape) for n, t in _under("kept/", plain).items()}
            rows = {n: unpack(t, self.shape(n)[:1]) for n, t in _under("rows/", plain).items()}
            columns = {n: unpack(t, self.shape(n)[1:2]) for n, t in _under("columns/", plain).items()}
            sides = {n: (mask, columns[n]) for n, mask in rows.items()}
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UsageError(f"recording: '{path}' is damaged ({error})", "record the run again") from None
        return Tensors(values, kept, sides)


def _under(prefix: str, plain: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}


def _state(plain: Mapping[str, Any]) -> State:
    row = EpochRow(**plain["row"]) if plain["row"] else None
    return State(plain["kind"], plain["epoch"], row, plain["kept"], plain["file"], plain["sha256"])

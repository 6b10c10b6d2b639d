"""Names of stages: a hash chain over everything that a state of training depends on.

k(0) says where training starts; k(e + 1) adds what was ordered before epoch e and the learning rates of its steps. Two
trials with the same key after epoch e have, on the same kind of machine, the same network to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from uuid import uuid4

import torch

from prunesearch.catalogue import CRITERIA
from prunesearch.criteria import BUILT_IN, load_criterion
from prunesearch.criteria.base import Score
from prunesearch.policy import Policy
from prunesearch.schedules.base import Order
from prunesearch.tasks.contents import Reader

NUMERIC_CODE = 6
"""Counted up with every change of ours that changes the bits of a training run."""

_SELECTION = (
    "granularity",
    "criterion",
    "scope",
    "min_units",
    "round_to",
    "prune_bias",
    "prune_output_layer",
    "spare",
    "only",
    "recalibrate_batches",
)
"""Fields of a policy that, beside the order, say which elements go."""


def root_key(task: str, seed: int, mode: str, device: torch.device) -> str:
    """k(0).

    Args:
        task: the task's digest: initial tensors, structure, data, recipe, user's source.
        seed: of the trial.
        mode: number format, memory format, and whether a final cut of units trains on as the smaller network.
        device: where training runs; GPUs count by model.
    """
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    versions = [torch.__version__, version("torch-pruning"), NUMERIC_CODE]
    said = [task, seed, mode, device.type, kind, torch.get_num_threads(), versions]
    return _hash(json.dumps(said).encode())


def next_key(key: str, policy: Policy | None, order: Order | None, rates: Sequence[float]) -> str:
    """k(e + 1) from k(e).

    Args:
        key: k(e).
        policy: whose selection the order means; without an order it does not count.
        order: what was ordered before epoch e.
        rates: factor of the learning rate for every step of epoch e.
    """
    ordered = None
    if order is not None and policy is not None:
        fields = policy.canonical().present()
        # where the rates go is said by `rates`, whatever the order called it
        said = {k: v for k, v in asdict(order).items() if k not in ("lr_restart", "lr_length", "initial_learning_rate")}
        ordered = [said, {name: fields.get(name) for name in _SELECTION}, criterion_code(policy.criterion)]
    return _hash(key.encode() + json.dumps(ordered, sort_keys=True).encode() + struct.pack(f"<{len(rates)}d", *rates))


@dataclass
class _Codes:
    """What was read of scores, by identity: what runs is what was loaded, whatever its file says by now."""

    read: dict[int, tuple[Score, str]] = field(default_factory=dict)

    def of(self, name: str, score: Score) -> str:
        if id(score) not in self.read:
            reader = Reader()
            said = json.dumps([repr(CRITERIA[name]), reader.said(score), "" if reader.whole else uuid4().hex])
            self.read[id(score)] = score, _hash(said.encode())
        return self.read[id(score)][1]


_CODES = _Codes()


def criterion_code(name: str) -> str:
    """Hash of the code of a criterion of the user's own and of what it holds, as it was when first asked for; "" for ours.

    Of what cannot be read it is another one in every process.
    """
    return "" if name in BUILT_IN else _CODES.of(name, load_criterion(name))


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=20).hexdigest()

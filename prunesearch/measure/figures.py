"""All figures of one network, and the guards that say when they are not worth having."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from prunesearch.measure.params import count_bytes, count_dense, count_macs, count_stored


@dataclass(frozen=True)
class Sizes:
    """What the size of a network is, in numbers; see `prunesearch.results.MEASURES`."""

    params: int
    params_dense: int
    macs: int
    bytes: int
    sparsity: float


def sizes_of(model: nn.Module, example: torch.Tensor, masked: Collection[str], dense_params: int) -> Sizes:
    """Read the sizes from the network that is measured.

    Args:
        model: after the physical cut.
        example: inputs on its device, at least one.
        masked: names of parameters from which single weights were removed.
        dense_params: parameters of the dense network.
    """
    stored = count_stored(model, masked)
    return Sizes(
        params=stored,
        params_dense=count_dense(model),
        macs=count_macs(model, example),
        bytes=count_bytes(model),
        sparsity=1 - stored / dense_params,
    )


def at_chance(accuracy: float, chance: float | None, examples: int, dense: float | None) -> str | None:
    """Why an accuracy is no better than a constant answer, or None.

    Args:
        accuracy: of the pruned network, on the validation split.
        chance: the share of the commonest class there; None: no such thing.
        examples: size of the split; within one standard error of chance counts as chance.
        dense: accuracy of the dense network, where known: a task that the dense network does not learn proves nothing.
    """
    if chance is None:
        return None
    bar = chance + math.sqrt(chance * (1 - chance) / max(1, examples))
    if accuracy > bar or (dense is not None and dense <= bar):
        return None
    return f"accuracy {accuracy:.3f} is at chance: always answering the commonest class gives {chance:.3f}"

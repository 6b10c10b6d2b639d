"""What criteria read of a group's parts: one matrix per tensor, one row per element that can go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from prunesearch.criteria.base import Part
from prunesearch.errors import PolicyError

Need = Literal["initial", "grad", "grad_sq", "initial_grad"]

_WORDS: dict[Need, tuple[str, str]] = {
    "initial": ("the initial values", "keep a copy of the network before its first step"),
    "grad": ("gradients", "give the session `losses`, a function that yields losses of training batches"),
    "grad_sq": ("squared gradients", "give the session `losses`, a function that yields losses of training batches"),
    "initial_grad": ("gradients at the initial values", "give the session `losses` before the first step"),
}


def rows(parts: Sequence[Part], criterion: str) -> list[Part]:
    """The parts that produce the elements: the single one, whatever its role, or the rows of all producing layers.

    Raises:
        PolicyError: several parts, and none of them produces the elements.
    """
    found = list(parts) if len(parts) == 1 else [part for part in parts if part.role == "out"]
    if not found:
        raise PolicyError(f"criterion '{criterion}' found no weights that produce {_names(parts)}", "spare this group")
    return found


def own(parts: Sequence[Part], criterion: str) -> list[Part]:
    """Everything that is zeroed with an element and is its own: rows, bias, norm scale and shift.

    The columns of the next layers are left out: what they carry is the element's output once more.

    Raises:
        PolicyError: several parts, and none of them produces the elements.
    """
    rows(parts, criterion)
    return list(parts) if len(parts) == 1 else [part for part in parts if part.role != "in"]


def single(parts: Sequence[Part], criterion: str) -> Part:
    """The one part of a group of weights.

    Raises:
        PolicyError: the group is one of units.
    """
    if len(parts) != 1:
        raise PolicyError(
            f"criterion '{criterion}' ranks single weights, not units; {_names(parts)} belong together",
            "use granularity 'weight' or another criterion",
        )
    return parts[0]


def needed(part: Part, need: Need, criterion: str) -> torch.Tensor:
    """A tensor, (n, m) of at least float32, that the criterion cannot do without.

    Raises:
        PolicyError: it is not there. No criterion falls back to another score.
    """
    tensor: torch.Tensor | None = getattr(part, need)
    if tensor is None:
        words, hint = _WORDS[need]
        raise PolicyError(f"criterion '{criterion}' needs {words} of '{part.name}', and there are none", hint)
    return exact(tensor)


def exact(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` as plain values, apart from any graph, of at least float32: a sum of 100 bfloat16 keeps two digits."""
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


def _names(parts: Sequence[Part]) -> str:
    return ", ".join(f"'{part.name}'" for part in parts) or "an empty group"

"""A shorter start for workers: torch's compiler stays out of processes that compile nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leave_compiler_out() -> None:
    """Spare this process the import of `torch._dynamo`, most of a second of CPU time. Imports torch.

    torch says of some methods that they are not to be compiled, and imports its compiler for that when the first of them is
    called: by every optimiser, and where operations are watched. In a process that compiles nothing the mark means nothing,
    so it is set as if it had been said already. Where torch does this otherwise, nothing happens here.
    """
    import torch
    import torch.utils.flop_counter
    from torch.utils._python_dispatch import TorchDispatchMode

    import prunesearch.pruning.drawing  # noqa: F401 - its mode is one of those

    mark: Any = getattr(torch, "_disable_dynamo", None)
    if mark is None:
        return
    same = getattr(mark(leave_compiler_out), "__code__", None)
    for method in _methods(torch.optim.Optimizer, *TorchDispatchMode.__subclasses__()):
        inner = getattr(method, "__wrapped__", None)
        if inner is not None and getattr(method, "__code__", None) is same:
            vars(inner).setdefault("__dynamo_disable", inner)


def _methods(*kinds: type) -> Iterator[Callable[..., Any]]:
    for kind in kinds:
        yield from (member for member in vars(kind).values() if callable(member))

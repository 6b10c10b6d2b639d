"""Training steps as CUDA graphs: the kernels of one step are recorded once per epoch and replayed for every batch.

A tiny network's step is a hundred small kernels, and starting them from Python takes longer than running them. A
replay starts all of them at once. Inputs are copied into memory that stays, the learning rate is a tensor, the
optimiser counts its steps on the device; masks are applied after each replay, as after any step. A batch of another
size, the last one of an epoch, is not replayed. Recorded anew in every epoch, because a cut may have replaced
parameters. Not measured on a GPU yet; the tests run all but the recording itself on the CPU.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from prunesearch.errors import first_line

WARM_UP = 3
"""Steps of an epoch that run as they are: what is allocated and chosen on the way must not be recorded."""
GRAPHED = frozenset({"adam", "adamw", "nadam", "rmsprop"})
"""Optimisers of torch that can count their steps on the device (`capturable`)."""

log = logging.getLogger(__name__)

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(inputs, targets) of a batch -> its mean loss, detached; the network is one step further."""


class Capture(Protocol):
    """How steps are warmed up and recorded."""

    def warm(self, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run a step as it has to run before one is recorded."""
        ...

    def record(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Record a step without running it; each call of what is returned runs it, on the same memory."""
        ...


class CudaCapture:
    """Records on a CUDA device.

    Args:
        device: where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._side = torch.cuda.Stream(device)

    def warm(self, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run a step on another stream than the default one, as recording will."""
        main = torch.cuda.current_stream(self._device)
        self._side.wait_stream(main)
        with torch.cuda.stream(self._side):
            loss = step()
        main.wait_stream(self._side)
        return loss

    def record(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Record a step into a graph with memory of its own.

        Raises:
            RuntimeError: it does what cannot be recorded.
        """
        graph, main = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        try:
            # what other threads do (a loader's that pins memory) is no business of the recording
            with torch.cuda.graph(graph, stream=self._side, capture_error_mode="thread_local"):
                loss = step()
        except RuntimeError:
            torch.cuda.set_stream(main)  # a recording that fails at its end stays on its own stream
            raise

        def replay() -> torch.Tensor:
            graph.replay()
            return loss

        return replay


class GraphedStep:
    """The steps of one epoch: some to warm up, then replays; batches of another shape run as they are.

    Args:
        step: an ordinary step.
        capture: how it is recorded.
    """

    def __init__(self, step: Step, capture: Capture) -> None:
        self._step, self._capture = step, capture
        self._warm = 0
        self._given: tuple[torch.Tensor, torch.Tensor] | None = None
        self._replay: Callable[[], torch.Tensor] | None = None

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """One step on a batch. The loss is overwritten by the next call."""
        if self._warm < WARM_UP:
            self._warm += 1
            return self._capture.warm(lambda: self._step(x, y))
        if self._given is None:
            self._given = x.clone(), y.clone()
            self._replay = self._recorded(*self._given)
        if self._replay is None or not (_alike(x, self._given[0]) and _alike(y, self._given[1])):
            return self._step(x, y)
        self._given[0].copy_(x)
        self._given[1].copy_(y)
        return self._replay()

    def _recorded(self, x: torch.Tensor, y: torch.Tensor) -> Callable[[], torch.Tensor] | None:
        drawn = _generators()
        try:
            replay = self._capture.record(lambda: self._step(x, y))
            if _generators() != drawn:
                raise RuntimeError("it draws random numbers on the CPU, which a replay would repeat")
            return replay
        except RuntimeError as problem:  # a network that reads from the device in its forward pass, for one
            log.warning("the training step cannot be recorded as a CUDA graph: %s; it runs without", first_line(problem))
            return None


def _generators() -> tuple[object, ...]:
    """The states of all generators that live on the CPU."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - what users' networks draw from
    return random.getstate(), (name, np.asarray(keys).tobytes(), *rest), torch.get_rng_state().numpy().tobytes()


def can_be_graphed(optimizer: object, own_loop: object, device: torch.device) -> bool:
    """Whether steps can be recorded: on a GPU, in our loop, with an optimiser that is known to allow it.

    Args:
        optimizer: the task's: a name or a function.
        own_loop: the task's own epoch, or None.
        device: where training runs.
    """
    return device.type == "cuda" and own_loop is None and isinstance(optimizer, str) and optimizer in GRAPHED


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype

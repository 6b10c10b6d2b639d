"""Number formats of training: `exact` is float32 throughout, `fast` multiplies in fewer bits where the processor can.

`fast` is bfloat16 autocast (Micikevicius et al. 2018; Kalamkar et al. 2019) over the forward pass of training and of the
validation after every epoch, with TF32 for what stays float32 on a GPU. Weights, gradients' accumulation into them, the
optimiser's state and the loss are float32, and so is everything that is measured of a finished trial: accuracy, the comparison
of the masked with the cut network, latency. `exact` has TF32 off.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prunesearch.errors import EnvironmentFailure


@dataclass(frozen=True)
class Numerics:
    """How one training run computes.

    Args:
        device: where.
        fast: whether in fewer bits.
    """

    device: torch.device
    fast: bool = False

    @property
    def words(self) -> str:
        """What bits depend on, for the names of stages."""
        tensor_cores = "" if self.device.type == "cpu" else " tf32" if self.fast else " ieee"
        return ("bfloat16" if self.fast else "float32") + tensor_cores

    @contextmanager
    def training(self) -> Iterator[None]:
        """TF32 as this run may use it, backward passes included."""
        with tf32(self.device, allowed=self.fast):
            yield

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Forward passes of an epoch's validation."""
        with self.training(), self._autocast():
            yield

    def forward(self, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """The outputs of a training step, in float32 for the loss."""
        with self._autocast():
            outputs: torch.Tensor = model(x)
        return outputs.float() if outputs.dtype == torch.bfloat16 else outputs

    def _autocast(self) -> torch.autocast:
        # without its cache of cast weights: each is used once, and a cache must not outlive the capture of a graph
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.fast, cache_enabled=False)


@contextmanager
def tf32(device: torch.device, *, allowed: bool) -> Iterator[None]:
    """TensorFloat-32 in matrix products, convolutions and recurrent layers, or not; afterwards as before. Nothing on the CPU."""
    if device.type == "cpu":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        for place, kept in zip(places, before, strict=True):
            place.fp32_precision = kept


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """One thread on the CPU; a GPU is the current one, without TF32 unless training asks for it; afterwards as before.

    Bits differ between one thread and two, and two processes of one thread each do 1.9x the work of one of two.
    """
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        with _current(device), tf32(device, allowed=False):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _current(device: torch.device) -> Iterator[None]:
    """A GPU as the one that a plain `.cuda()` of users' code takes, and of cuDNN only what gives the same bits each time."""
    if device.type == "cpu":
        yield
        return
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        with torch.cuda.device(device):
            yield
    finally:
        torch.backends.cudnn.deterministic = before


def answers(device: torch.device) -> bool:
    """Whether a device still works in this process, after a failure; memory that nobody uses is given back.

    After an illegal access or an assertion in a kernel a GPU answers every call of the process with that error.
    """
    if device.type == "cpu":
        return True
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def require_fast(device: torch.device) -> None:
    """Refuse `fast` where the processor would only imitate it, slower than float32.

    Raises:
        EnvironmentFailure: it multiplies no bfloat16.
    """
    if has_bfloat16(device):
        return
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"this CPU ({platform.machine()})"
    raise EnvironmentFailure(f"numerics 'fast' needs a processor that multiplies bfloat16; {what} does not", "--numerics exact")


def has_bfloat16(device: torch.device) -> bool:
    """Whether a processor multiplies bfloat16 itself."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine() in ("x86_64", "AMD64"):  # with AVX-512 alone the library imitates it
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

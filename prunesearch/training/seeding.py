"""Seeds: every random number of a trial comes from (seed, what it is for, epoch)."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def seed_of(seed: int, *purpose: object) -> int:
    """A seed of 63 bits for one purpose: `seed_of(0, "order", 3)`. Equal on all machines and versions of Python."""
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def generator(seed: int, *purpose: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose."""
    return torch.Generator(device).manual_seed(seed_of(seed, *purpose))


def narrow(seed: int) -> int:
    """A seed as numpy and scikit-learn take it: its lower 32 bits."""
    return seed % 2**32


def seed_everything(seed: int, *purpose: object) -> None:
    """Seed the global generators of torch, numpy and Python: dropout and users' data sets draw from these."""
    number = seed_of(seed, *purpose)
    torch.manual_seed(number)
    np.random.seed(narrow(number))  # noqa: NPY002 - users' transforms draw from numpy's global generator
    random.seed(number)

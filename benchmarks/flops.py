"""Floating-point work of a training step, and what one core of this machine can do: read in a process of its own.

python -m benchmarks.flops SCENARIO
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.data import network
from benchmarks.scenarios import SCENARIOS, Scenario

_SIDE, _SECONDS = 1024, 2.0


def step_flops(scenario: Scenario, shape: tuple[int, ...]) -> int:
    """Operations of one training step, forward and backward, counted by torch.

    Args:
        scenario: whose network and batch size.
        shape: of one input.
    """
    model, x = network(scenario), torch.rand(scenario.batch_size, *shape)
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(model(x), torch.zeros(len(x), dtype=torch.int64)).backward()
    return int(counter.get_total_flops())


def product_rate() -> float:
    """Operations per second of a float32 product of two 1024 x 1024 matrices, at best, on one thread."""
    a, b = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    return 2 * _SIDE**3 / _best(lambda: a @ b)


def _best(call: Callable[[], object]) -> float:
    """Seconds of the shortest of many calls."""
    began, best = time.perf_counter(), float("inf")
    while time.perf_counter() - began < _SECONDS:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
    return best


def main() -> None:
    """Print both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--shape", type=int, nargs="+", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    step = step_flops(SCENARIOS[args.scenario], tuple(args.shape))
    print(json.dumps({"step": step, "product": product_rate()}))


if __name__ == "__main__":
    main()

"""How long an epoch takes on this machine: some batches of each peer's own loop, before anything is measured."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import cache
from typing import Literal

from benchmarks.scenarios import SCENARIOS, Scenario

_BATCHES = 12


def epoch_seconds(peer: Literal["tutorial", "expert"], scenario: Scenario, data_dir: str | None) -> float:
    """Seconds of one epoch, validation included."""
    return _rehearsed(peer, scenario.name, data_dir)


@cache
def start_seconds() -> float:
    """Seconds until a process and its workers have imported what they need: twice as long as one import takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import optuna, torch, torchvision, sklearn.model_selection"], check=True)
    return 2 * (time.perf_counter() - began)


@cache
def _rehearsed(peer: str, name: str, data_dir: str | None) -> float:
    return (_tutorial if peer == "tutorial" else _expert)(SCENARIOS[name], data_dir)


def _tutorial(scenario: Scenario, data_dir: str | None) -> float:
    import torch

    from benchmarks.data import network
    from benchmarks.peers import tutorial
    from benchmarks.peers.plan import Rate

    train, val, _ = tutorial.loaders(scenario, data_dir)
    model = network(scenario)
    optimizer = torch.optim.Adam(model.parameters())
    began = time.perf_counter()
    tutorial.train_epoch(model, train, optimizer, Rate(1e-3, 1, 1), most=_BATCHES)
    batches = min(_BATCHES, len(train))
    return (time.perf_counter() - began) / batches * (len(train) + len(val))


def _expert(scenario: Scenario, data_dir: str | None) -> float:
    import torch

    from benchmarks.data import network
    from benchmarks.peers import expert
    from benchmarks.peers.masks import Masks
    from benchmarks.peers.plan import Rate

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    data, model = expert.Data(scenario, data_dir), network(scenario)
    optimizer = torch.optim.Adam(model.parameters())
    masks, batches = Masks(model, scenario, {}), min(_BATCHES, data.steps)
    began = time.perf_counter()
    expert.train_epoch(model, data, optimizer, Rate(1e-3, 1, 1), masks, most=batches)
    seconds = (time.perf_counter() - began) / batches * data.steps
    torch.set_num_threads(before)
    return seconds

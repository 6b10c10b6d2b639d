"""A user's task whose training does what the file named by MISCHIEF says, once: the process engine has to bear it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

import prunesearch.tasks as tasks
from prunesearch import trial


def make_task() -> tasks.Task:
    """Four numbers, two classes, a network of 58 parameters."""
    return _task(train_epoch)


def slow() -> tasks.Task:
    """The same, with epochs that never end."""
    return _task(for_ever)


def changing() -> tasks.Task:
    """One whose learning rate is what a file says, as if it was edited."""
    return replace(_task(None), lr=float(Path(os.environ["MISCHIEF"]).with_name("rate").read_text()))


def scarce() -> tasks.Task:
    """Loads in the first worker alone, as where there is memory for one."""
    others = json.loads(Path(os.environ["MISCHIEF"]).with_name("others").read_text())
    workers = [child for child in psutil.Process(os.getppid()).children() if child.pid not in others]
    if min(workers, key=lambda child: child.create_time()).pid != os.getpid():
        raise MemoryError("there is room for one")
    return _task(None)


def doomed() -> tasks.Task:
    """Ends the process before there is a task."""
    sys.stderr.write("no such library: Error 42\n")
    sys.stderr.flush()
    os._exit(3)


def _task(epoch: Any) -> tasks.Task:
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    return tasks.Task(model=network, train=(x, (x.sum(1) > 0).long()), epochs=1, lr=0.05, batch_size=16, train_epoch=epoch)


def network() -> nn.Module:
    """4-8-2."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def for_ever(model: nn.Module, batches: Iterable[Any], optimizer: torch.optim.Optimizer) -> float:
    """Says that it trains, and keeps the interpreter busy."""
    Path(os.environ["MISCHIEF"]).write_text(str(os.getpid()))
    while True:
        sum(range(1000))


def train_epoch(model: nn.Module, batches: Iterable[Any], optimizer: torch.optim.Optimizer) -> float:
    """Mischief, then an epoch."""
    order = Path(os.environ["MISCHIEF"])
    deed = order.read_text() if order.exists() else ""
    order.unlink(missing_ok=True)
    match deed:
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill beside a child":
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        case "print":
            sys.stdout.write("x" * 200_000)
            sys.stdout.flush()
        case "break":
            setattr(trial, "answers", lambda _: False)  # noqa: B010 - the name is not exported
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        case "warn":
            warnings.warn(f"OMP_NUM_THREADS is {os.environ['OMP_NUM_THREADS']}", stacklevel=1)
    total = 0.0
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total

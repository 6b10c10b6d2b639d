"""Which devices and cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prunesearch.errors import EnvironmentFailure

_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def visible_devices(device: str) -> tuple[str, ...]:
    """The devices that `device` stands for: ("cpu",), or one or all CUDA devices. Imports torch unless it is "cpu".

    Args:
        device: auto (all CUDA devices, else the CPU), cpu, cuda (all), cuda:1.

    Raises:
        EnvironmentFailure: torch sees no such device.
    """
    if device == "cpu":
        return ("cpu",)
    import torch

    found = tuple(f"cuda:{i}" for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0))
    if device == "auto":
        return found or ("cpu",)
    wanted = found if device == "cuda" else tuple(d for d in found if d == device)
    if not wanted:
        sees = ", ".join(found) or "none"
        raise EnvironmentFailure(
            f"device '{device}' is not there; CUDA devices that torch sees: {sees}", "--device cpu runs everywhere"
        )
    return wanted


def lane_name(device: str) -> str:
    """A name for `device` that is the same in all processes of a host, whatever each of them can see."""
    if device == "cpu":
        return "cpu"
    import torch

    return f"cuda-{torch.cuda.get_device_properties(device).uuid}"


def drain_of(device: str) -> Callable[[], None] | None:
    """What waits until `device` has done all that this process gave it; None for the CPU, which does it at once."""
    if device == "cpu":
        return None
    import torch

    return partial(torch.cuda.synchronize, device)


def places(devices: tuple[str, ...], workers: int, per_gpu: int, cores: int) -> tuple[str, ...]:
    """The device of every worker: as many workers as the machine bears, never more than cores where nobody says so.

    Args:
        devices: from `visible_devices`.
        workers: how many were asked for; 0: one per core on the CPU, `per_gpu` per GPU.
        per_gpu: workers that share one GPU, where `workers` is 0.
        cores: from `usable_cores`; every worker keeps one busy.
    """
    bearable = cores if devices == ("cpu",) else max(len(devices), min(len(devices) * per_gpu, cores))
    return tuple(devices[i % len(devices)] for i in range(workers or bearable))


def loader_cores(workers: int, cores: int) -> int:
    """Cores that are left for the loader of each worker, beside the one that trains."""
    return max(0, cores // max(1, workers) - 1)


def usable_cores(root: Path = _CGROUP, own: Path = _OWN_CGROUP) -> int:
    """CPU cores that this process may use: its affinity mask, cut to CPU set and quota of its control groups; at least 1.

    Args:
        root: where control groups are mounted.
        own: the file that names the control groups of this process.
    """
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([mask, *(int(q) for q in _granted(root, own))]))


def _granted(root: Path, own: Path) -> list[float]:
    """Cores granted by every control group on the way from this process to the root, both versions."""
    found = []
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        mount = root if not controllers else root / controllers
        inner = Path(path.lstrip("/"))
        for folder in (mount / part for part in (inner, *inner.parents)):
            if not controllers or "cpu" in controllers.split(","):
                found += _quota(folder)
            if not controllers or "cpuset" in controllers.split(","):
                found += _cpu_set(folder)
    return found


def _cpu_set(folder: Path) -> list[float]:
    """Cores of a control group's set, such as "0-3,8": the kernel's mask has them already, but not every sandbox's."""
    listed = _read(folder / "cpuset.cpus.effective") or _read(folder / "cpuset.effective_cpus") or _read(folder / "cpuset.cpus")
    try:
        ends = [[int(end) for end in part.split("-")] for part in listed.strip().split(",") if part]
    except ValueError:
        return []
    return [float(sum(end[-1] - end[0] + 1 for end in ends))] if ends else []


def _quota(folder: Path) -> list[float]:
    words = _read(folder / "cpu.max").split() or [_read(folder / f"cpu.cfs_{n}_us").strip() for n in ("quota", "period")]
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max", empty, or no such file
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

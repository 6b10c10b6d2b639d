"""Cores and devices that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prunesearch.engines.devices import lane_name, loader_cores, places, usable_cores, visible_devices
from prunesearch.errors import EnvironmentFailure

MASK = len(os.sched_getaffinity(0))


def groups(tmp_path: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and the file that says where this process is in it."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "self").write_text(own)
    return tmp_path / "cgroup", tmp_path / "self"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/", {}, 1000),
        ("0::/", {"cpu.max": "max 100000"}, 1000),
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/", {"cpu.max": "50000 100000"}, 1),  # half a core is one worker
        ("0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1),  # a parent's quota holds too
        ("0::/a/b", {"c/cpu.max": "100000 100000"}, 1000),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1000),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "900000000", "cpu/cpu.cfs_period_us": "100000"}, 1000),
        ("0::/a", {"a/cpuset.cpus.effective": "0-3,8\n", "a/cpu.max": "max 100000"}, 5),
        ("0::/a/b", {"a/cpuset.cpus.effective": "7\n", "a/b/cpuset.cpus": "\n"}, 1),
        ("5:cpuset:/x\n3:cpu:/x", {"cpuset/x/cpuset.effective_cpus": "0,2", "cpu/x/cpuset.cpus": "0"}, 2),
        ("5:cpuset:/x", {"cpuset/x/cpuset.cpus": "nonsense"}, 1000),
    ],
)
def test_quotas_and_sets_of_control_groups_bound_the_cores(tmp_path: Path, own: str, files: dict[str, str], cores: int) -> None:
    assert usable_cores(*groups(tmp_path, own, files)) == min(MASK, cores)


def test_affinity_bounds_the_cores(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_cpu_is_always_there() -> None:
    assert visible_devices("cpu") == ("cpu",)
    assert lane_name("cpu") == "cpu"


def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(EnvironmentFailure, match="'cuda:99' is not there"):
        visible_devices("cuda:99")


def test_auto_is_a_device_that_is_there() -> None:
    import torch

    found = visible_devices("auto")
    assert found == (("cpu",) if not torch.cuda.is_available() else tuple(f"cuda:{i}" for i in range(torch.cuda.device_count())))


GPUS = ("cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("devices", "workers", "per_gpu", "cores", "dealt"),
    [
        (("cpu",), 0, 4, 3, "cpu cpu cpu"),
        (("cpu",), 5, 1, 2, "cpu cpu cpu cpu cpu"),  # who asks for more gets more
        (GPUS, 0, 1, 16, "cuda:0 cuda:1"),
        (GPUS, 0, 2, 16, "cuda:0 cuda:1 cuda:0 cuda:1"),
        (GPUS, 0, 4, 3, "cuda:0 cuda:1 cuda:0"),  # every worker needs a core of its own
        (GPUS, 0, 1, 1, "cuda:0 cuda:1"),
        (GPUS, 1, 4, 16, "cuda:0"),
    ],
)
def test_workers_are_dealt_to_devices(devices: tuple[str, ...], workers: int, per_gpu: int, cores: int, dealt: str) -> None:
    assert places(devices, workers, per_gpu, cores) == tuple(dealt.split())


@pytest.mark.parametrize(("workers", "cores", "left"), [(1, 16, 15), (2, 16, 7), (4, 4, 0), (8, 4, 0), (3, 8, 1)])
def test_workers_and_their_loaders_never_need_more_than_all_cores(workers: int, cores: int, left: int) -> None:
    assert loader_cores(workers, cores) == left
    assert workers * (1 + left) <= max(cores, workers)


def test_users_loaders_are_told_how_many_cores_are_left(tmp_path: Path) -> None:
    from prunesearch.engines import EngineSpec, open_engine

    (tmp_path / "own.py").write_text(
        "import torch\n"
        "from prunesearch import Task\n"
        "def make_task(loader_workers):\n"
        "    x, y = torch.randn(60, 3), torch.arange(60) % 2\n"
        "    return Task(model=lambda: torch.nn.Linear(3, 2), train=(x, y), name=f'{loader_workers} left')\n"
    )
    spec = EngineSpec(f"{tmp_path}/own.py:make_task", device="cpu", workers=7)
    with open_engine("serial", spec) as engine:  # which runs one trial at a time, whatever `workers` says
        assert engine.describe().name == f"{usable_cores() - 1} left"
    with open_engine("process", EngineSpec(spec.task, device="cpu", workers=usable_cores())) as engine:
        assert engine.describe().name == "0 left"

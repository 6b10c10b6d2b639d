"""The benchmark for GPUs, as far as a CPU can run it: what it measures, and what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu, tasks
from benchmarks.record import Record, Run
from benchmarks.scenarios import SCENARIOS
from prunesearch.training.prepare import Prepared, prepare

CPU = torch.device("cpu")
DIGITS = SCENARIOS["digits"]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(tasks.digits(), DIGITS.task, seed=0, device=CPU)


def test_half_of_the_network_is_half_as_wide(prepared: Prepared) -> None:
    half = gpu._half(prepared, DIGITS)
    assert [tuple(p.shape) for p in half.parameters() if p.dim() == 2] == [(64, 64), (32, 64), (10, 32)]


def test_steps_and_latencies_have_a_figure_for_everything_that_the_device_can(prepared: Prepared) -> None:
    taken = gpu.steps(prepared, 2, 1)
    assert set(taken) <= {"exact", "fast"} and "exact" in taken
    assert min(taken.values()) > 0
    found = gpu.latencies(prepared, DIGITS, rounds=3)
    assert set(found) == {"eager, 1", "eager, 256"}
    assert all(ratio > 0 and ms > 0 for ratio, ms in found.values())


def of(part: str, device: str, **figures: object) -> Run:
    return {"part": part, "scenario": "lenet300", "device": device, **figures}


def test_the_page_tells_the_device_measured_last() -> None:
    runs = [
        of("steps", "cuda:0 Old", ms={"exact": 9.0}),
        of("steps", "cuda:0 New", ms={"exact": 0.5, "exact, graphs": 0.1}),
        of("workers", "cuda:0 New", rates={"1": 2000.0, "2": 3500.0}),
        of("latency", "cuda:0 New", ratios={"eager, 1": [0.99, 0.2]}),
        of("search", "cuda:0 New", seconds=42.0, trained=140, asked=250, epoch_seconds=0.3),
    ]
    told = gpu.report(runs)
    assert told.startswith("On cuda:0 New.") and "9.00" not in told
    for figure in (
        "| lenet300 | 0.5 | 0.1 |",
        "| lenet300 | 2000 | 3500 |",
        "0.99 (0.2)",
        "| lenet300 | 42.0 | 140 / 250 | 0.300 |",
    ):
        assert figure in told, told


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--to", str(tmp_path)])
    monkeypatch.setattr(gpu, "stored", lambda _: [])
    gpu.main()
    assert gpu.NOTHING in capsys.readouterr().out
    assert gpu.NOTHING in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert Record("gpu", tmp_path).runs == []

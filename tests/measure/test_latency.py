"""Latency of real networks: pruned against dense, in every backend that is here."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from prunesearch import models
from prunesearch.errors import EnvironmentFailure
from prunesearch.measure.latency import Latency, device_name, measure_latency
from prunesearch.results import LatencySpec

EXAMPLE = torch.randn(3, 1, 28, 28)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def halved() -> nn.Module:
    """LeNet-5 with half of its filters, neurons kept."""
    model = models.lenet5()
    model.conv1, model.conv2, model.fc1 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 25, 5), nn.Linear(25 * 16, 500)
    return model


def measured(model: nn.Module, dense: nn.Module, **spec: object) -> Latency:
    return measure_latency(model, dense, EXAMPLE, LatencySpec(**spec), "cpu")  # type: ignore[arg-type]


def test_half_of_the_filters_are_faster_and_it_repeats() -> None:
    torch.set_num_threads(1)
    dense, model = models.lenet5(), halved()
    found = [measured(model, dense) for _ in range(5)]
    ratios = [f.ratio for f in found]
    assert max(ratios) < 0.85  # 0.65 on a quiet core
    assert max(ratios) - min(ratios) < 0.15  # standard deviation 0.006
    for one in found:
        assert one.ms / one.dense_ms == pytest.approx(one.ratio, rel=0.25)
        assert one.seconds < 10


def test_the_dense_network_against_itself_is_one_by_definition() -> None:
    dense = models.mlp((64, 128, 64, 10))
    found = measure_latency(dense, dense, torch.randn(1, 64), LatencySpec(rounds=5))
    assert found.ratio == 1.0
    assert found.dense_ms > 0 and found.ratio_iqr >= 0


def test_a_copy_of_the_dense_network_is_as_fast() -> None:
    found = measured(models.lenet5(), models.lenet5())
    assert found.ratio == pytest.approx(1.0, abs=0.2)


def test_neither_network_nor_the_process_is_changed() -> None:
    torch.set_num_threads(1)
    model, dense = models.mlp((784, 20, 10)).train(), models.mlp((784, 40, 10)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = measured(model, dense, threads=2, dtype="bfloat16", rounds=5)
    assert torch.get_num_threads() == 1
    assert model.training and dense.training
    assert all(torch.equal(v, before[k]) and v.dtype == torch.float32 for k, v in model.state_dict().items())
    assert found.spec.dtype == "bfloat16"


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_batch_has_the_size_that_was_asked_in_evaluation_mode(size: int) -> None:
    seen: set[tuple[int, bool]] = set()

    class Watched(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.add((len(x), self.training))
            return x

    measure_latency(Watched(), Watched(), EXAMPLE, LatencySpec(batch_size=size, rounds=5))
    assert seen == {(size, False)}


def test_what_it_was_measured_on_is_told() -> None:
    found = measured(halved(), models.lenet5(), rounds=5)
    assert found.device == device_name("cpu") and found.device.startswith("cpu")
    assert found.versions == {"torch": str(torch.__version__)}


def test_cuda_graphs_need_a_cuda_device() -> None:
    with pytest.raises(EnvironmentFailure, match="needs a CUDA device"):
        measured(halved(), models.lenet5(), backend="cudagraph")


def test_a_missing_device_is_told() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(EnvironmentFailure, match="'cuda' is not there"):
        measured(halved(), models.lenet5(), device="cuda")


def test_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentFailure, match="needs the package 'onnxruntime'") as caught:
        measured(halved(), models.lenet5(), backend="onnxruntime")
    assert "pip install onnxruntime" in str(caught.value.hint)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnxruntime_sees_that_filters_are_gone() -> None:
    for package in ("onnxruntime", "onnx", "onnxscript"):
        pytest.importorskip(package)
    found = measured(halved(), models.lenet5(), backend="onnxruntime", batch_size=4)
    assert found.ratio < 0.85  # 0.35 on a quiet core
    assert set(found.versions) == {"torch", "onnxruntime"}


@GPU
@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["eager", "cudagraph"])
def test_latency_on_a_gpu(backend: str) -> None:
    dense = models.resnet(20).cuda()
    spec = LatencySpec(device="cuda", batch_size=64, backend=backend)  # type: ignore[arg-type]
    found = measure_latency(dense, dense, torch.randn(1, 3, 32, 32), spec)
    assert found.dense_ms > 0 and found.device.startswith("cuda")

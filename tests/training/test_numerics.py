"""Number formats: what computes in fewer bits and what does not, who shares stages with whom, and who is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunesearch.engines.base import EngineSpec
from prunesearch.errors import EnvironmentFailure
from prunesearch.models import mlp
from prunesearch.results import Result
from prunesearch.training import numerics
from prunesearch.training.numerics import Numerics
from prunesearch.trial import TrialRunner
from tests.trial.blobs import CPU, blobs, job, make_task, measured, needs_fast, numbers, policy

CPU_DEVICE = torch.device("cpu")
FAST = replace(CPU, numerics="fast")


class Spy(nn.Module):
    """A network that notes the type of what its last layer gives, in training and in evaluation."""

    def __init__(self, seen: set[tuple[bool, torch.dtype]]) -> None:
        super().__init__()
        self.net, self.seen = mlp((3, 24, 16, 3)), seen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x)
        self.seen.add((self.training, out.dtype))
        return out


def trained(spec: EngineSpec, seed: int = 0, **fields: Any) -> Result:
    return TrialRunner.from_task(make_task(**fields), spec).run(job(policy(), seed=seed))


@needs_fast
def test_the_forward_pass_is_bfloat16_and_all_that_stays_is_float32() -> None:
    model, x = mlp((3, 24, 16, 3)), blobs()[0]
    seen: list[torch.dtype] = []
    model.get_submodule("fc2").register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    exact, fast = (Numerics(CPU_DEVICE, fast=f).forward(model, x) for f in (False, True))
    assert seen == [torch.float32, torch.bfloat16]
    assert exact.dtype == fast.dtype == torch.float32
    assert torch.equal(exact, model(x))
    assert not torch.equal(exact, fast)
    assert torch.allclose(exact, fast, rtol=0, atol=2**-6 * float(exact.detach().abs().max()))  # eight bits, three layers
    fast.sum().backward()
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


@needs_fast
def test_the_figures_of_a_finished_trial_are_measured_in_float32() -> None:
    seen: set[tuple[bool, torch.dtype]] = set()
    result = trained(FAST, model=lambda: Spy(seen))
    assert result.state == "complete", result.reason
    assert (True, torch.bfloat16) in seen
    assert (False, torch.float32) in seen
    seen.clear()
    trained(CPU, model=lambda: Spy(seen))
    assert {dtype for _, dtype in seen} == {torch.float32}


@needs_fast
def test_exact_and_fast_share_no_stage_and_a_job_may_ask_for_exact(tmp_path: Path) -> None:
    shared = replace(FAST, stages=str(tmp_path))
    made = policy()
    first = TrialRunner.from_task(make_task(), shared)
    fast, exact = first.run(job(made)), first.run(job(made, exact=True))
    assert fast.epochs_trained == exact.epochs_trained == 4
    assert numbers(exact) == numbers(trained(CPU))
    assert [row.loss for row in fast.epochs] != [row.loss for row in exact.epochs]


@needs_fast
def test_fast_is_as_accurate_as_exact_within_the_noise_of_seeds() -> None:
    """Means over five seeds lie closer together than three of their standard errors, or one example of 90."""
    found = {spec: [measured(trained(spec, seed)).accuracy for seed in range(5)] for spec in (CPU, FAST)}
    exact, fast = (torch.tensor(values) for values in found.values())
    error = float((exact.var() / 5 + fast.var() / 5).sqrt())
    assert abs(float(exact.mean() - fast.mean())) <= max(3 * error, 1 / 90)


@pytest.mark.parametrize("norm", [nn.LayerNorm, lambda width: nn.GroupNorm(2, width)], ids=["layer", "group"])
@needs_fast
def test_norms_over_the_units_that_are_left_run_in_fewer_bits_too(norm: Any) -> None:
    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 24), norm(24), nn.ReLU(), nn.Linear(24, 3))

    made = policy(granularity="neuron", scope="layer", function="gradual", epoch_threshold=1, converge_over=2)
    result = TrialRunner.from_task(make_task(model=model), FAST).run(job(made))
    assert result.state == "complete", result.reason


def test_a_processor_without_bfloat16_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "has_bfloat16", lambda _: False)
    with pytest.raises(EnvironmentFailure, match="bfloat16") as caught:
        TrialRunner.from_task(make_task(), FAST)
    assert "exact" in str(caught.value.hint)
    assert trained(CPU).state == "complete"


def test_tf32_is_on_in_fast_training_only() -> None:
    device = torch.device("cuda", 0)  # only torch's settings are looked at: no GPU is needed
    cudnn: Any = torch.backends.cudnn
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)

    def said() -> list[str]:
        return [place.fp32_precision for place in places]

    before = said()
    with numerics.tf32(device, allowed=False):
        assert said() == ["ieee"] * 3
        with Numerics(device, fast=True).training():
            assert said() == ["tf32"] * 3
        with Numerics(device).training():
            assert said() == ["ieee"] * 3
    assert said() == before

"""Learning rates against torch's own schedulers, and their limits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from prunesearch.tasks.task import LR_SCHEDULES
from prunesearch.training.learning_rate import Recipe, Segment, factor

ORACLES: dict[str, Callable[[torch.optim.Optimizer, int], lr_scheduler.LRScheduler]] = {
    "constant": lambda o, total: lr_scheduler.ConstantLR(o, factor=1.0, total_iters=total),
    "cosine": lambda o, total: lr_scheduler.CosineAnnealingLR(o, total),
    "step": lambda o, total: lr_scheduler.MultiStepLR(o, [total // 2, total * 3 // 4], gamma=0.1),
    "one_cycle": lambda o, total: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=total, cycle_momentum=False),
}


def oracle(kind: str, total: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = ORACLES[kind](optimizer, total), []
    for _ in range(total):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(found) < total:
                scheduler.step()
    return found


@pytest.mark.parametrize("kind", LR_SCHEDULES)
@pytest.mark.parametrize(("steps", "length"), [(10, 4), (7, 12), (1, 8)])
def test_every_schedule_is_that_of_torch(kind: str, steps: int, length: int) -> None:
    total = steps * length
    ours = [factor(Recipe(kind), i, steps, length) for i in range(total)]
    assert ours == pytest.approx(oracle(kind, total), rel=1e-9, abs=1e-12)


def test_a_warm_up_rises_linearly_and_the_rest_runs_over_what_is_left() -> None:
    recipe = Recipe("cosine", warmup_epochs=0.5)
    ours = [factor(recipe, i, 10, 2) for i in range(20)]
    assert ours[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert ours[5:] == pytest.approx(oracle("cosine", 15))


@given(
    kind=st.sampled_from(LR_SCHEDULES),
    warm=st.floats(0, 20),
    step=st.integers(0, 10_000),
    steps=st.integers(1, 50),
    length=st.integers(0, 20),
)
def test_a_factor_is_between_zero_and_one_and_stays_at_its_last_value(
    kind: str, warm: float, step: int, steps: int, length: int
) -> None:
    recipe, last = Recipe(kind, warm), max(1, steps * length) - 1
    found = factor(recipe, step, steps, length)
    assert 0.0 <= found <= 1.0 and math.isfinite(found)
    if step >= last:
        assert found == factor(recipe, last, steps, length)


def test_a_segment_starts_anew_where_it_was_restarted() -> None:
    recipe = Recipe("cosine")
    from_scratch, restarted = Segment(0, 4).rates(recipe, 0, 5), Segment(6, 4, peak=0.1).rates(recipe, 6, 5)
    assert restarted == pytest.approx([0.1 * r for r in from_scratch])
    assert Segment(6, 1).rates(recipe, 9, 5) == [factor(recipe, 4, 5, 1)] * 5


def test_a_restart_forgets_what_came_before() -> None:
    recipe = Recipe("one_cycle")
    assert Segment(3, 2).rates(recipe, 4, 5) == Segment(0, 2).rates(recipe, 1, 5)

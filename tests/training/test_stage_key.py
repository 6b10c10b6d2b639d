"""Whatever the bits of a training run depend on is in the name of its first stage, and what was ordered in the next ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from prunesearch.policy import Policy
from prunesearch.schedules.base import Order
from prunesearch.training import stage_key
from prunesearch.training.stage_key import next_key, root_key

CPU = torch.device("cpu")
SAID: dict[str, Any] = {"task": "t" * 16, "seed": 0, "mode": "float32", "device": CPU}
MADE = Policy.parse({"epochs": 4})


@pytest.mark.parametrize("change", [{"task": "u" * 16}, {"seed": 1}, {"mode": "bfloat16"}])
def test_what_is_asked_is_in_the_name(change: dict[str, Any]) -> None:
    assert root_key(**SAID) == root_key(**SAID) != root_key(**{**SAID, **change})


@pytest.mark.parametrize(
    ("where", "what", "value"),
    [
        (torch, "__version__", "0.0"),
        (torch, "get_num_threads", lambda: 64),
        (torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
        (stage_key, "version", lambda _: "0.0"),
        (stage_key, "NUMERIC_CODE", -1),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_computes_is_in_the_name(where: Any, what: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = root_key(**SAID)
    monkeypatch.setattr(where, what, value)
    assert root_key(**SAID) != before


def test_gpus_count_by_model(monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"cuda:0": "H200", "cuda:1": "H200", "cuda:2": "A100"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: models[str(device)])
    one, same, other = (root_key(**{**SAID, "device": torch.device(name)}) for name in models)
    assert one == same
    assert len({one, other, root_key(**SAID)}) == 3


def test_an_order_is_in_the_name_and_a_policy_only_with_one() -> None:
    key, other = root_key(**SAID), MADE.model_copy(update={"criterion": "random"})
    assert next_key(key, MADE, None, [1.0]) == next_key(key, other, None, [1.0]) == next_key(key, None, None, [1.0])
    assert next_key(key, None, None, [1.0]) != next_key(key, None, None, [0.5]) != next_key(key, None, None, [0.5, 0.5])
    half, more = (Order(amount, absolute=False, enforced=True) for amount in (0.5, 0.6))
    names = {next_key(key, policy, order, [1.0]) for policy in (MADE, other) for order in (None, half, more)}
    assert len(names) == 5

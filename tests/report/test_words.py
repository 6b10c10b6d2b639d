from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunesearch.policy import Policy
from prunesearch.report.words import duration, number, percent, policy_words, times

WORDS = [
    (
        {"function": "gradual", "threshold": 0.9, "scope": "global", "epoch_threshold": 1, "converge_over": 5},
        "90 % of weights, global l1, gradual (cubic) over epochs 1-6",
    ),
    ({"threshold": 0.5, "epoch_threshold": 10}, "50 % of weights, per layer l1, one shot after the last epoch"),
    (
        {"function": "one_shot", "threshold": 0.25, "epoch_threshold": 2},
        "25 % of weights, per layer l1, one shot, free, from epoch 2",
    ),
    (
        {"granularity": "neuron", "scope": "ratios", "ratio": {"default": 0.2, "fc1": 0.75}, "recovery": "reinit"},
        "20 % to 75 % of neurons per group, l1, one shot at epoch 0, then re-initialised",
    ),
    ({"scope": "ratios", "ratio": {"fc1": 0.9}}, "90 % of weights in fc1, l1, one shot at epoch 0"),
    ({"scope": "ratios", "ratio": {"default": 0.9}}, "90 % of weights, l1, one shot at epoch 0"),
    (
        {"scope": "ratios", "ratio": {"fc1": 0.5, "fc2": 0.9, "out": 0.7}},
        "50 % to 90 % of weights in fc1, fc2 and out, l1, one shot at epoch 0",
    ),
    (
        {"scope": "ratios", "ratio": dict.fromkeys(("layer1.*", "layer2.*", "layer3.*", "layer4.*"), 0.5)},
        "50 % of weights in layer1.*, layer2.* and 2 more, l1, one shot at epoch 0",
    ),
    (
        {"function": "iterative", "prune_iter": 3, "threshold": 0.8, "recovery": "rewind_weights", "lr_restart": True},
        "80 % of weights, per layer l1, in 3 rounds from epoch 0, rewound to epoch 0, learning rate restarted",
    ),
    ({"function": "iterative", "prune_iter": 1, "threshold": 0.8}, "80 % of weights, per layer l1, in 1 round from epoch 0"),
    (
        {"schedule_type": "magnitude_threshold", "granularity": "unit", "criterion": "l2", "weight_threshold": 0.7},
        "neurons and filters with a score up to 0.7, l2, one shot at epoch 0",
    ),
    (
        {"schedule_type": "rewind_pruning", "threshold": 0.5, "threshold_step": 0.1, "eps": 0.01, "epoch_threshold": 3},
        "weights from 50 % in steps of 10 %, per layer l1, as long as it recovers within 0.01, from epoch 3",
    ),
]


@pytest.mark.parametrize(("fields", "words"), WORDS)
def test_a_policy_is_told_in_one_line(fields: dict[str, Any], words: str) -> None:
    assert policy_words(Policy.parse({"epochs": 10, **fields})) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0.97, "0.9700"),
        (12, "12"),
        (89610, "89,610"),
        (89610.0, "89,610"),
        (0.0, "0.0000"),
        (0.01, "0.0100"),
        (0.0012, "0.0012"),
        (3.2e-5, "3.2e-05"),
        (-0.001234, "-0.00123"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.913, "1.91x"), (12.34, "12.3x"), (100.2, "100x"), (None, "-"), (float("inf"), "-")]
)
def test_times(ratio: float | None, text: str) -> None:
    assert times(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250 ms"),
        (3.21, "3.2 s"),
        (59.6, "1 min 0 s"),
        (12.3, "12 s"),
        (95, "1 min 35 s"),
        (4020, "1 h 7 min"),
        (None, "-"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_percent_keeps_three_digits() -> None:
    assert [percent(f) for f in (0.5, 0.905, 0.98765)] == ["50 %", "90.5 %", "98.8 %"]


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.9994, "99.9 %"), (0.9995, "99.95 %"), (0.9997, "99.97 %"), (0.999999, "99.9999 %"), (1.0, "100 %"), (1.0004, "100 %")],
)
def test_only_all_is_a_hundred_per_cent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@given(st.floats(0, 1, exclude_max=True))
def test_no_fraction_below_one_is_told_as_all(fraction: float) -> None:
    assert float(percent(fraction).removesuffix(" %")) < 100

"""Accuracy, sizes and the guard at chance, against scikit-learn and figures known by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torch import nn

from prunesearch.measure.accuracy import classification_report, evaluate, mean_loss, predicted, predictions
from prunesearch.measure.figures import at_chance, sizes_of
from prunesearch.measure.params import count_bytes, count_dense, count_macs, count_stored, shape_signature
from prunesearch.models import digits_cnn, lenet5, mlp
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.groups import find_groups
from prunesearch.training.data import Handling, Resident

DRAWN = torch.Generator().manual_seed(0)
LOGITS, TARGETS = torch.randn(70, 6, generator=DRAWN), torch.randint(0, 6, (70,), generator=DRAWN)


class Identity(nn.Module):
    """Gives its inputs, so that the test decides what the outputs are; never in training mode meanwhile."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training and not torch.is_grad_enabled()
        return x


def split(x: torch.Tensor, y: torch.Tensor) -> Resident:
    return Resident(x, y, Handling(16, torch.device("cpu")))


def test_accuracy_and_top5_are_scikit_learns() -> None:
    batches = split(LOGITS, TARGETS)
    assert evaluate(Identity(), batches.ordered(), "accuracy") == metrics.accuracy_score(TARGETS, LOGITS.argmax(1))
    top5 = metrics.top_k_accuracy_score(TARGETS, LOGITS, k=5, labels=range(6))
    assert evaluate(Identity(), batches.ordered(), "top5") == pytest.approx(top5)


def test_the_loss_is_that_of_all_examples_at_once_though_the_last_batch_is_smaller() -> None:
    probabilities = LOGITS.softmax(1).numpy()
    batches = zip(LOGITS.split(32), TARGETS.split(32), strict=True)
    found = mean_loss(Identity(), batches, nn.functional.cross_entropy)
    assert found == pytest.approx(metrics.log_loss(TARGETS, probabilities, labels=range(6)), rel=1e-5)
    assert math.isnan(mean_loss(Identity(), [], nn.functional.cross_entropy))


@pytest.mark.parametrize("shape", [(70,), (70, 1)])
def test_two_classes_may_have_one_output(shape: tuple[int, ...]) -> None:
    scores, targets = LOGITS[:, 0].view(shape), TARGETS % 2
    expected = metrics.accuracy_score(targets, LOGITS[:, 0] > 0)
    assert evaluate(Identity(), split(scores, targets).ordered(), "accuracy") == expected


def test_accuracy_of_maps_is_per_element() -> None:
    maps, targets = torch.randn(9, 3, 4, 5), torch.randint(0, 3, (9, 4, 5))
    found = evaluate(Identity(), split(maps, targets).ordered(), "accuracy")
    assert found == pytest.approx(float((maps.argmax(1) == targets).float().mean()))


@pytest.mark.parametrize(("metric", "oracle"), [("mse", metrics.mean_squared_error), ("mae", metrics.mean_absolute_error)])
def test_regression_metrics_are_scikit_learns(metric: str, oracle: object) -> None:
    assert callable(oracle)
    x, y = LOGITS[:, :1], LOGITS[:, 1]
    assert evaluate(Identity(), split(x, y).ordered(), metric) == pytest.approx(oracle(y, x), rel=1e-5)


def test_a_metric_of_ones_own_sees_the_whole_split_once() -> None:
    shapes: list[tuple[torch.Size, torch.Size]] = []

    def own(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        shapes.append((outputs.shape, targets.shape))
        return 0.5

    assert evaluate(Identity(), split(LOGITS, TARGETS).ordered(), own) == 0.5
    assert shapes == [(LOGITS.shape, TARGETS.shape)]


@pytest.mark.parametrize("metric", ["accuracy", "top5", "mse"])
def test_outputs_that_are_no_numbers_are_no_accuracy(metric: str) -> None:
    broken = LOGITS.clone()
    broken[3, 2] = math.nan
    targets = TARGETS if metric != "mse" else LOGITS
    assert math.isnan(evaluate(Identity(), split(broken, targets).ordered(), metric))


@given(st.integers(1, 6).flatmap(lambda c: st.tuples(st.just(c), st.lists(st.tuples(*[st.integers(0, c - 1)] * 2), min_size=1))))
def test_precision_recall_and_f1_are_scikit_learns_to_the_last_bit(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = drawn
    targets, found = torch.tensor(pairs).unbind(1)
    report = classification_report(found, targets, classes)
    oracle = partial(metrics.precision_recall_fscore_support, targets, found, labels=range(classes), zero_division=0.0)
    names = ("precision", "recall", "f1", "support")
    assert [[row[k] for k in names] for row in report["classes"]] == np.transpose(oracle()).tolist()
    for kind in ("macro", "weighted"):
        assert tuple(report[kind].values()) == oracle(average=kind)[:3]


def test_sizes_of_a_network_counted_by_hand() -> None:
    model = mlp((4, 3, 2))  # 4x3 + 3 + 3x2 + 2
    with torch.no_grad():
        model.get_parameter("fc1.weight").view(-1)[:5] = 0
        model.get_parameter("fc2.bias")[0] = 0
    assert (count_dense(model), count_stored(model), count_stored(model, {"fc1.weight"})) == (23, 23, 18)
    assert (count_macs(model, torch.zeros(7, 4)), count_bytes(model)) == (18, 92)
    sizes = sizes_of(model, torch.zeros(1, 4), {"fc1.weight"}, 23)
    assert (sizes.params, sizes.params_dense) == (18, 23)
    assert sizes.sparsity == pytest.approx(5 / 23)


def test_buffers_count_as_bytes_and_shared_tensors_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False))
    model[2].weight = model[0].weight
    assert count_dense(model) == 4 + 4
    assert count_bytes(model) == 4 * (4 + 4) + 4 * (2 + 2) + 8


def test_counting_leaves_the_network_as_it_was() -> None:
    model = digits_cnn().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    count_macs(model, torch.randn(4, 1, 8, 8))
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_signature_tells_shapes_and_nothing_else() -> None:
    one, other = lenet5(), lenet5()
    assert shape_signature(one) == shape_signature(other.to(memory_format=torch.channels_last))
    groups = find_groups(other, torch.zeros(2, 1, 28, 28))
    physical_cut(other, groups.units, {"conv1": torch.arange(20) < 1})
    kinds = [shape_signature(m) for m in (one, other, lenet5().double(), mlp((4, 3, 2)), mlp((4, 3, 2), bias=False))]
    assert len(set(kinds)) == 5


@pytest.mark.parametrize(
    ("accuracy", "chance", "examples", "dense", "told"),
    [
        (0.10, 0.10, 10_000, None, True),
        (0.102, 0.10, 10_000, None, True),
        (0.104, 0.10, 10_000, None, False),
        (0.09, 0.10, 10_000, 0.98, True),
        (0.09, 0.10, 10_000, 0.10, False),
        (0.55, 0.50, 50, None, True),
        (0.95, 0.50, 50, None, False),
        (0.10, None, 50, None, False),
        (-3.0, None, 50, -1.0, False),
    ],
)
def test_accuracy_at_chance_is_told_unless_the_dense_network_is_there_too(
    accuracy: float, chance: float | None, examples: int, dense: float | None, told: bool
) -> None:
    found = at_chance(accuracy, chance, examples, dense)
    assert (found is not None) == told
    assert found is None or f"accuracy {accuracy:.3f} is at chance" in found


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (LOGITS[:, :1], (TARGETS % 2).float()),
        (LOGITS[:, :1], (TARGETS % 2).float()[:, None]),
        (LOGITS, TARGETS[:, None]),
        (LOGITS[:60].view(5, 6, 3, 4), TARGETS[:60].view(5, 3, 4)),
        (LOGITS, torch.where(TARGETS == 2, -100, TARGETS)),
    ],
    ids=["floats", "a column of floats", "a column", "maps", "some left out"],
)
def test_predictions_are_counted_as_the_accuracy_counts_them(outputs: torch.Tensor, targets: torch.Tensor) -> None:
    found, true = predictions(Identity(), split(outputs, targets).ordered())
    assert found.shape == true.shape == (int((targets >= 0).sum()),) and true.dtype == torch.int64
    accuracy = evaluate(Identity(), split(outputs, targets).ordered(), "accuracy")
    assert accuracy == pytest.approx(metrics.accuracy_score(true, found))
    assert accuracy == pytest.approx(
        float((predicted(outputs).flatten() == targets.flatten())[targets.flatten() >= 0].float().mean())
    )


def test_top5_takes_a_column_of_targets_and_leaves_out_what_is_to_be_left_out() -> None:
    some = torch.where(TARGETS == 2, -100, TARGETS)
    expected = metrics.top_k_accuracy_score(TARGETS[TARGETS != 2], LOGITS[TARGETS != 2], k=5, labels=range(6))
    assert evaluate(Identity(), split(LOGITS, some[:, None]).ordered(), "top5") == pytest.approx(expected)


def test_targets_that_are_all_left_out_are_no_accuracy() -> None:
    assert math.isnan(evaluate(Identity(), split(LOGITS, torch.full((70,), -100)).ordered(), "accuracy"))

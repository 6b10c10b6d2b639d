"""Networks have the sizes that papers and systems state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from prunesearch import models
from prunesearch.errors import TaskError
from prunesearch.measure.params import count_dense, count_macs
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.groups import find_groups

BUILT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, int]] = {
    "LeNet-300-100": (lambda: models.mlp((784, 300, 100, 10)), (1, 28, 28), 266_610, 266_200),
    "784-1000-1000-500-200-10 without biases": (
        lambda: models.mlp((784, 1000, 1000, 500, 200, 10), bias=False),
        (784,),
        2_386_000,
        2_386_000,
    ),
    "LeNet-5 (Caffe)": (models.lenet5, (1, 28, 28), 431_080, 2_293_000),
    "conv 8 - conv 4": (models.cnn84, (1, 28, 28), 6_130, 220_320),
    "digits CNN": (models.digits_cnn, (1, 8, 8), 38_330, 337_536),
    "ResNet-20": (lambda: models.resnet(20), (3, 32, 32), 272_474, 40_813_184),
    "ResNet-56": (lambda: models.resnet(56), (3, 32, 32), 855_770, 125_747_840),
    "VGG-16": (models.vgg16, (3, 32, 32), 14_724_042, 313_201_664),
}


@pytest.mark.parametrize("name", BUILT)
def test_parameters_and_macs(name: str) -> None:
    build, shape, params, macs = BUILT[name]
    model = build()
    example = torch.zeros(2, *shape)
    assert (count_dense(model), count_macs(model, example)) == (params, macs)
    assert model.eval()(example).shape == (2, 10)


def test_cnn84_with_two_filters_less_per_layer_has_the_systems_3052_parameters() -> None:
    model = models.cnn84()
    groups = find_groups(model, torch.zeros(2, 1, 28, 28))
    gone = {g.name: torch.arange(g.info.size) < 2 for g in groups.units if g.name in ("conv1", "conv2")}
    physical_cut(model, groups.units, gone)
    assert count_dense(model) == 3052


@pytest.mark.parametrize("depth", [20, 56])
def test_resnets_have_one_convolution_more_per_change_of_width(depth: int) -> None:
    convs = [m for m in models.resnet(depth).modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == depth - 1 + 2


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 2), ()])
def test_an_mlp_needs_two_positive_widths(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two widths"):
        models.mlp(sizes)


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_resnet_depths_are_6_n_plus_2(depth: int) -> None:
    with pytest.raises(ValueError, match="6 n"):
        models.resnet(depth)


def test_torchvision_networks_come_by_name_without_weights_of_their_own() -> None:
    model = models.torchvision_model("mobilenet_v3_small", 7)
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_an_unknown_torchvision_network_is_told_with_the_closest() -> None:
    with pytest.raises(TaskError, match="resnet19") as error:
        models.torchvision_model("resnet19", 2)
    assert "did you mean 'resnet1" in (error.value.hint or "")

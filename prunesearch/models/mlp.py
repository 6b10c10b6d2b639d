"""Multi-layer perceptrons: LeNet-300-100 and the networks of the small data sets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(sizes: Sequence[int], bias: bool = True) -> nn.Sequential:
    """Linear layers with ReLU between them; the layers are called `fc1`, `fc2`, ...

    LeNet-300-100 (LeCun et al. 1998) is `mlp((784, 300, 100, 10))`: 266,610 parameters.

    Args:
        sizes: width of the input, of every hidden layer and of the output; at least two.
        bias: whether the layers have biases.

    Shapes: (n, ...) with sizes[0] numbers per example -> (n, sizes[-1]).

    Raises:
        ValueError: fewer than two sizes, or one below 1.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"mlp(sizes) needs at least two widths of 1 or more, got {tuple(sizes)}")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        if i > 1:
            layers[f"relu{i - 1}"] = nn.ReLU()
        layers[f"fc{i}"] = nn.Linear(inputs, outputs, bias=bias)
    return nn.Sequential(layers)

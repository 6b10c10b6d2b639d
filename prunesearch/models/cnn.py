"""Small convolutional networks."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def cnn84(classes: int = 10, channels: int = 1, side: int = 28) -> nn.Sequential:
    """Two 3x3 convolutions with 8 and 4 filters and no biases, 2x2 max pooling, one linear layer.

    The network of the system "Network Pruning": 6,130 parameters for 28 x 28 pixels and 10 classes; with two filters less in
    each convolution (6 and 2) it has the 3,052 parameters that the system reports.

    Shapes: (n, channels, side, side) -> (n, classes).
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 8, 3, bias=False),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(8, 4, 3, bias=False),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(4 * ((side - 4) // 2) ** 2, classes),
        )
    )


def digits_cnn(classes: int = 10, channels: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm (16 and 32 filters) and two linear layers, for 8 x 8 pixels: 38,330 parameters.

    Shapes: (n, channels, 8, 8) -> (n, classes).
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(16),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(16, 32, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(32),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(32 * 4 * 4, 64),
            relu3=nn.ReLU(),
            fc2=nn.Linear(64, classes),
        )
    )

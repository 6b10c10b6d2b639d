"""VGG-16 with batch norm and one linear layer, the form used on CIFAR-10 (Simonyan & Zisserman 2015; Liu et al. 2017)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Filters of the 13 convolutions; 0 is a 2x2 max pooling."""


def vgg16(classes: int = 10, channels: int = 3) -> nn.Sequential:
    """VGG-16 with batch norm for 32 x 32 pixels: 14,724,042 parameters for 10 classes.

    Shapes: (n, channels, 32, 32) -> (n, classes).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, number = channels, 1
    for place, width in enumerate(WIDTHS):
        if not width:
            layers[f"pool{place}"] = nn.MaxPool2d(2)
            continue
        conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        layers |= {f"conv{number}": conv, f"norm{number}": nn.BatchNorm2d(width), f"relu{number}": nn.ReLU(inplace=True)}
        inputs, number = width, number + 1
    return nn.Sequential(OrderedDict(layers, flatten=nn.Flatten(), fc=nn.Linear(inputs, classes)))

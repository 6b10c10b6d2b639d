"""LeNet-5 as Caffe ships it, the network of Han et al. 2015."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class LeNet5(nn.Module):
    """Two 5x5 convolutions with 2x2 max pooling, two linear layers: 431,080 parameters for 28 x 28 pixels.

    Shapes: (n, channels, side, side) -> (n, classes).
    """

    def __init__(self, classes: int = 10, channels: int = 1, side: int = 28) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * (((side - 4) // 2 - 4) // 2) ** 2, 500)
        self.fc2 = nn.Linear(500, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        x = functional.max_pool2d(self.conv1(x), 2)  # Caffe's network has no activation behind its convolutions
        x = functional.max_pool2d(self.conv2(x), 2)
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        out: torch.Tensor = self.fc2(x)
        return out


def lenet5(classes: int = 10, channels: int = 1, side: int = 28) -> LeNet5:
    """LeNet-5 (Caffe): 20 and 50 filters, 500 hidden neurons."""
    return LeNet5(classes, channels, side)

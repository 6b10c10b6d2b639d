"""Residual networks for 32 x 32 pixels (He et al. 2016, section 4.2), with 1x1 convolutions as shortcuts."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, added to their input.

    Shapes: (n, inputs, h, w) -> (n, outputs, h / stride, w / stride).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    """Three stages of `blocks` blocks with 16, 32 and 64 filters.

    Shapes: (n, channels, h, w) -> (n, classes).
    """

    def __init__(self, blocks: int, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.stage1 = _stage(16, 16, blocks, stride=1)
        self.stage2 = _stage(16, 32, blocks, stride=2)
        self.stage3 = _stage(32, 64, blocks, stride=2)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        x = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        x = self.stage3(self.stage2(self.stage1(x)))
        out: torch.Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
        return out


def resnet(depth: int, classes: int = 10, channels: int = 3) -> ResNet:
    """ResNet-20, -32, -44, -56, ...: depth = 6 x blocks per stage + 2.

    ResNet-20 has 40,813,184 multiply-accumulates on 32 x 32 pixels.

    Raises:
        ValueError: no such depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"resnet(depth) must be 6 n + 2, such as 20 or 56, got {depth}")
    return ResNet(blocks, classes, channels)


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = Block(inputs, outputs, stride)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))

"""Networks of every shape that pruning has to get right, small enough to be cut in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from prunesearch.models.lenet import LeNet5
from prunesearch.models.resnet import resnet


def mlp(bias: bool = True) -> nn.Module:
    """Fully connected, with a sigmoid: a unit that is masked in its rows alone still emits one half."""
    return nn.Sequential(nn.Linear(12, 9, bias), nn.Sigmoid(), nn.Linear(9, 7, bias), nn.SiLU(), nn.Linear(7, 3, bias))


class Depthwise(nn.Module):
    """A convolution, a depthwise one with bias, a pointwise one, batch norm behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point = nn.Conv2d(8, 6, 1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.norm(self.stem(x)))
        x = functional.relu(self.point(functional.hardswish(self.depth(x))))
        out: torch.Tensor = self.fc(x.mean((2, 3)))
        return out


class Concat(nn.Module):
    """Two branches side by side, flattened into a linear layer; one of them is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 5, 3, padding=1)
        self.right = nn.Conv2d(3, 7, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.after = nn.Conv2d(17, 6, 1)
        self.fc = nn.Linear(6 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = self.left(x)
        both = functional.relu(self.norm(torch.cat([left, self.right(x)], 1)))
        x = functional.relu(self.after(torch.cat([both, left], 1)))
        out: torch.Tensor = self.fc(functional.adaptive_avg_pool2d(x, 4).flatten(1))
        return out


class Gated(nn.Module):
    """Two halves of one layer, one the gate of the other: unit i is rows i and i + 6."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Linear(8, 12)
        self.out = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.both(x).chunk(2, dim=1)
        out: torch.Tensor = self.out(value * torch.sigmoid(gate))
        return out


class Recurrent(nn.Module):
    """One layer that reads its own outputs: a unit loses a row and a column of the same matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 6)
        self.loop = nn.Linear(6, 6, bias=False)
        self.out = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.tanh(self.inner(x))
        for _ in range(2):
            state = torch.tanh(self.loop(state) + self.inner(x))
        out: torch.Tensor = self.out(state)
        return out


class Grouped(nn.Module):
    """A convolution in two groups, which have to stay equally wide."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.mid = nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(12)
        self.last = nn.Conv2d(12, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.mid(functional.relu(self.stem(x)))))
        out: torch.Tensor = self.last(x).mean((2, 3))
        return out


class Squeeze(nn.Module):
    """A squeeze-and-excitation gate and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.squeeze = nn.Linear(8, 4)
        self.excite = nn.Linear(4, 8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.prelu = nn.PReLU(6)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.stem(x))
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        out: torch.Tensor = self.head(self.prelu(self.up(x * gate[:, :, None, None])))
        return out


class Series(nn.Module):
    """One-dimensional convolutions with batch norm, flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.conv2 = nn.Conv1d(6, 5, 3, padding=1, stride=2)
        self.fc = nn.Linear(5 * 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv2(functional.relu(self.norm(self.conv1(x)))))
        out: torch.Tensor = self.fc(x.flatten(1))
        return out


class ChannelsFirstNorm(nn.LayerNorm):
    """LayerNorm over dimension 1 of an image, as ConvNeXt has it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Mixing(nn.Module):
    """A residual stream with norms that take means over its channels: channels first, channels last, and scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = ChannelsFirstNorm(8, eps=1e-6)
        self.before = nn.LayerNorm(8)
        self.wide, self.narrow = nn.Linear(8, 10), nn.Linear(10, 8)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))
        self.last = nn.LayerNorm(8, elementwise_affine=False)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.stem(x))
        inner = self.narrow(functional.gelu(self.wide(self.before(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        x = x + self.scale * inner
        out: torch.Tensor = self.fc(self.last(x.mean((2, 3))))
        return out


class InGroups(nn.Module):
    """GroupNorm: each of two groups has to lose the same positions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.mid, self.inner = nn.Conv2d(8, 6, 3, padding=1), nn.GroupNorm(1, 6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.inner(self.mid(functional.relu(self.norm(self.stem(x))))))
        out: torch.Tensor = self.fc(x.mean((2, 3)))
        return out


@dataclass(frozen=True)
class Network:
    """A network, the shape of one example, and how wide each of its prunable groups is."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    widths: Mapping[str, int]

    def example(self, batch: int = 4) -> torch.Tensor:
        return torch.randn(batch, *self.shape, generator=torch.Generator().manual_seed(0))


IMAGE = (3, 8, 8)
NETWORKS: Mapping[str, Network] = {
    "mlp": Network(mlp, (12,), {"0": 9, "2": 7}),
    "mlp-no-bias": Network(lambda: mlp(bias=False), (12,), {"0": 9, "2": 7}),
    "lenet5": Network(LeNet5, (1, 28, 28), {"conv1": 20, "conv2": 50, "fc1": 500}),
    "resnet20": Network(
        lambda: resnet(20),
        (3, 16, 16),
        {"conv1": 16}
        | {f"stage1.{i}.conv1": 16 for i in range(3)}
        | {f"stage2.{i}.conv1": 32 for i in range(3)}
        | {"stage2.0.conv2": 32, "stage3.0.conv2": 64}
        | {f"stage3.{i}.conv1": 64 for i in range(3)},
    ),
    "depthwise": Network(Depthwise, IMAGE, {"stem": 8, "point": 6}),
    "concat": Network(Concat, IMAGE, {"left": 5, "right": 7, "after": 6}),
    "gated": Network(Gated, (8,), {"both": 6}),
    "recurrent": Network(Recurrent, (5,), {"inner": 6}),
    "grouped": Network(Grouped, IMAGE, {"stem": 4, "mid": 6}),
    "squeeze": Network(Squeeze, IMAGE, {"stem": 8, "squeeze": 4, "up": 6}),
    "mixing": Network(Mixing, IMAGE, {"stem": 8, "wide": 10}),
    "in-groups": Network(InGroups, IMAGE, {"stem": 4, "mid": 6}),
    "series": Network(Series, (2, 16), {"conv1": 6, "conv2": 5}),
}
"""By name. Widths are worked out by hand from the code above."""

"""The built-in networks as tables of layers, for the fake engine: widths, parameters and work without torch.

A *width* is a number of units that layers share: all layers that write into one residual sum have the same one. Widths
are called after the first layer that produces them, as groups are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from prunesearch.results import GroupInfo
from prunesearch.tasks.catalogue import DATA, Network

INPUT, OUTPUT = "input", "output"
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)

Widths = Mapping[str, int]


@dataclass(frozen=True)
class Layer:
    """One Linear or Conv layer.

    Args:
        name: the module's name.
        kind: what its outputs are.
        inputs: name of the width that it reads.
        outputs: name of the width that it writes.
        kernel: weights per pair of input and output unit.
        places: positions at which it computes each output, for one example.
        bias: whether it has biases.
        norm: whether a norm layer with scale and shift follows.
    """

    name: str
    kind: Literal["neuron", "filter"]
    inputs: str
    outputs: str
    kernel: int = 1
    places: int = 1
    bias: bool = True
    norm: bool = False

    def weights(self, widths: Widths) -> int:
        """Elements of its weight tensor."""
        return widths[self.inputs] * widths[self.outputs] * self.kernel

    def params(self, widths: Widths) -> int:
        """Elements of all its parameter tensors, those of its norm included."""
        return self.weights(widths) + widths[self.outputs] * (self.bias + 2 * self.norm)


@dataclass(frozen=True)
class FakeNetwork:
    """Layers in the order of their work, and the dense network's widths."""

    layers: tuple[Layer, ...]
    widths: Widths

    def params(self, widths: Widths | None = None) -> int:
        """Parameters at these widths; dense by default."""
        return sum(layer.params(widths or self.widths) for layer in self.layers)

    def macs(self, widths: Widths | None = None) -> int:
        """Multiply-accumulates for one example at these widths; dense by default."""
        return sum(layer.weights(widths or self.widths) * layer.places for layer in self.layers)

    def bytes(self, widths: Widths | None = None) -> int:
        """Bytes in float32, with the norms' running mean, variance and 64-bit count."""
        found = widths or self.widths
        buffers = sum(8 * found[layer.outputs] + 8 for layer in self.layers if layer.norm)
        return 4 * self.params(found) + buffers

    @cached_property
    def groups(self) -> tuple[GroupInfo, ...]:
        """The groups of weights, then those of units; the output layer's are spared."""
        return (*self._weight_groups(), *self._unit_groups())

    def _weight_groups(self) -> Iterator[GroupInfo]:
        for layer in self.layers:
            size = layer.weights(self.widths)
            spared = "output layer" if layer.outputs == OUTPUT else None
            yield GroupInfo(layer.name, "weight", (f"{layer.name}.weight",), size, size, spared)

    def _unit_groups(self) -> Iterator[GroupInfo]:
        for name, size in self.widths.items():
            if name in (INPUT, OUTPUT):
                continue
            touching = [layer for layer in self.layers if name in (layer.inputs, layer.outputs)]
            own = sum(layer.params(self.widths) for layer in self.layers if layer.outputs == name)
            read = sum(layer.weights(self.widths) for layer in self.layers if layer.inputs == name and layer.outputs != name)
            kind = next(layer.kind for layer in self.layers if layer.outputs == name)
            yield GroupInfo(name, kind, tuple(f"{layer.name}.weight" for layer in touching), size, own + read)


def fake_network(task: str) -> FakeNetwork:
    """The network of a built-in task, or a perceptron 64-128-64-10 where the task is not built in."""
    data, _, network = task.partition("-")
    found = DATA[data].networks.get(network) if data in DATA else None
    if found is None:
        return _mlp((64, 128, 64, 10))
    return _built(found, DATA[data].shape, DATA[data].classes)


def _built(network: Network, shape: tuple[int, ...], classes: int) -> FakeNetwork:
    side = shape[-1]
    match network.build:
        case "mlp":
            return _mlp(network.kwargs["sizes"], network.kwargs["bias"])
        case "lenet5":
            return _lenet5(shape[0], side, classes)
        case "cnn84":
            return _cnn84(shape[0], side, classes)
        case "digits_cnn":
            return _digits_cnn(shape[0], side, classes)
        case "resnet":
            return _resnet((network.kwargs["depth"] - 2) // 6, shape[0], side, classes)
        case "vgg16":
            return _vgg16(shape[0], side, classes)
    raise LookupError(f"no table of layers for the network '{network.build}'")


def _mlp(sizes: tuple[int, ...], bias: bool = True) -> FakeNetwork:
    names = [f"fc{i}" for i in range(1, len(sizes))]
    widths = [INPUT, *names[:-1], OUTPUT]
    layers = tuple(Layer(n, "neuron", a, b, bias=bias) for n, (a, b) in zip(names, pairwise(widths), strict=True))
    return FakeNetwork(layers, dict(zip(widths, sizes, strict=True)))


def _lenet5(channels: int, side: int, classes: int) -> FakeNetwork:
    one, two = side - 4, (side - 4) // 2 - 4
    return FakeNetwork(
        (
            Layer("conv1", "filter", INPUT, "conv1", 25, one**2),
            Layer("conv2", "filter", "conv1", "conv2", 25, two**2),
            Layer("fc1", "neuron", "conv2", "fc1", (two // 2) ** 2),
            Layer("fc2", "neuron", "fc1", OUTPUT),
        ),
        {INPUT: channels, "conv1": 20, "conv2": 50, "fc1": 500, OUTPUT: classes},
    )


def _cnn84(channels: int, side: int, classes: int) -> FakeNetwork:
    return FakeNetwork(
        (
            Layer("conv1", "filter", INPUT, "conv1", 9, (side - 2) ** 2, bias=False),
            Layer("conv2", "filter", "conv1", "conv2", 9, (side - 4) ** 2, bias=False),
            Layer("fc", "neuron", "conv2", OUTPUT, ((side - 4) // 2) ** 2),
        ),
        {INPUT: channels, "conv1": 8, "conv2": 4, OUTPUT: classes},
    )


def _digits_cnn(channels: int, side: int, classes: int) -> FakeNetwork:
    return FakeNetwork(
        (
            Layer("conv1", "filter", INPUT, "conv1", 9, side**2, bias=False, norm=True),
            Layer("conv2", "filter", "conv1", "conv2", 9, side**2, bias=False, norm=True),
            Layer("fc1", "neuron", "conv2", "fc1", (side // 2) ** 2),
            Layer("fc2", "neuron", "fc1", OUTPUT),
        ),
        {INPUT: channels, "conv1": 16, "conv2": 32, "fc1": 64, OUTPUT: classes},
    )


def _resnet(blocks: int, channels: int, side: int, classes: int) -> FakeNetwork:
    layers = [Layer("conv1", "filter", INPUT, "conv1", 9, side**2, bias=False, norm=True)]
    widths, stream = {INPUT: channels, "conv1": 16}, "conv1"
    for stage, width in enumerate((16, 32, 64), start=1):
        side = side // 2 if stage > 1 else side
        for block in range(blocks):
            at, before = f"stage{stage}.{block}", stream
            inner = f"{at}.conv1"
            stream = f"{at}.conv2" if stage > 1 and block == 0 else stream
            widths |= {inner: width, stream: width}
            layers.append(Layer(inner, "filter", before, inner, 9, side**2, bias=False, norm=True))
            layers.append(Layer(f"{at}.conv2", "filter", inner, stream, 9, side**2, bias=False, norm=True))
            if stream != before:
                layers.append(Layer(f"{at}.shortcut.0", "filter", before, stream, 1, side**2, bias=False, norm=True))
    layers.append(Layer("fc", "neuron", stream, OUTPUT))
    return FakeNetwork(tuple(layers), {**widths, OUTPUT: classes})


def _vgg16(channels: int, side: int, classes: int) -> FakeNetwork:
    layers: list[Layer] = []
    widths, before = {INPUT: channels}, INPUT
    for width in _VGG:
        if not width:
            side //= 2
            continue
        name = f"conv{len(layers) + 1}"
        layers.append(Layer(name, "filter", before, name, 9, side**2, bias=False, norm=True))
        widths, before = {**widths, name: width}, name
    layers.append(Layer("fc", "neuron", before, OUTPUT))
    return FakeNetwork(tuple(layers), {**widths, OUTPUT: classes})

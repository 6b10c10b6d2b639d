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
        norm: name of the norm layer with scale and shift that follows, empty where none does.
    """

    name: str
    kind: Literal["neuron", "filter"]
    inputs: str
    outputs: str
    kernel: int = 1
    places: int = 1
    bias: bool = True
    norm: str = ""

    def weights(self, widths: Widths) -> int:
        """Elements of its weight tensor."""
        return widths[self.inputs] * widths[self.outputs] * self.kernel

    @property
    def members(self) -> tuple[str, ...]:
        """Its parameter tensors, those of its norm included."""
        norm = (f"{self.norm}.weight", f"{self.norm}.bias") if self.norm else ()
        return (f"{self.name}.weight", *((f"{self.name}.bias",) if self.bias else ()), *norm)

    def params(self, widths: Widths) -> int:
        """Elements of these tensors."""
        return self.weights(widths) + widths[self.outputs] * (self.bias + 2 * bool(self.norm))


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
            spared = "it is the output layer" if layer.outputs == OUTPUT else None
            yield GroupInfo(layer.name, "weight", (f"{layer.name}.weight",), size, size, spared, output=spared is not None)

    def _unit_groups(self) -> Iterator[GroupInfo]:
        for width, size in self.widths.items():
            writers = [layer for layer in self.layers if layer.outputs == width]
            readers = [layer for layer in self.layers if layer.inputs == width]
            if writers:
                members = [m for layer in writers for m in layer.members] + [f"{layer.name}.weight" for layer in readers]
                params = sum(w.params(self.widths) for w in writers) + sum(r.weights(self.widths) for r in readers)
                params -= sum(both.weights(self.widths) for both in writers if both in readers)
                spared = "its units are the network's outputs" if width == OUTPUT else None
                norm, layers = any(layer.norm for layer in writers), tuple(layer.name for layer in writers)
                yield GroupInfo(layers[0], writers[0].kind, tuple(dict.fromkeys(members)), size, params, spared, layers, norm)


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


def _conv(name: str, inputs: str, outputs: str, side: int, norm: str, kernel: int = 9) -> Layer:
    """A convolution without bias, with a norm behind it, at side x side places."""
    return Layer(name, "filter", inputs, outputs, kernel, side**2, bias=False, norm=norm)


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
            _conv("conv1", INPUT, "conv1", side, "norm1"),
            _conv("conv2", "conv1", "conv2", side, "norm2"),
            Layer("fc1", "neuron", "conv2", "fc1", (side // 2) ** 2),
            Layer("fc2", "neuron", "fc1", OUTPUT),
        ),
        {INPUT: channels, "conv1": 16, "conv2": 32, "fc1": 64, OUTPUT: classes},
    )


def _resnet(blocks: int, channels: int, side: int, classes: int) -> FakeNetwork:
    layers = [_conv("conv1", INPUT, "conv1", side, "norm1")]
    widths, stream = {INPUT: channels, "conv1": 16}, "conv1"
    for stage, width in enumerate((16, 32, 64), start=1):
        side = side // 2 if stage > 1 else side
        for block in range(blocks):
            at, before = f"stage{stage}.{block}", stream
            inner = f"{at}.conv1"
            stream = f"{at}.conv2" if stage > 1 and block == 0 else stream
            widths |= {inner: width, stream: width}
            layers.append(_conv(inner, before, inner, side, f"{at}.norm1"))
            layers.append(_conv(f"{at}.conv2", inner, stream, side, f"{at}.norm2"))
            if stream != before:
                layers.append(_conv(f"{at}.shortcut.0", before, stream, side, f"{at}.shortcut.1", kernel=1))
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
        layers.append(_conv(name, before, name, side, f"norm{len(layers) + 1}"))
        widths, before = {**widths, name: width}, name
    layers.append(Layer("fc", "neuron", before, OUTPUT))
    return FakeNetwork(tuple(layers), {**widths, OUTPUT: classes})

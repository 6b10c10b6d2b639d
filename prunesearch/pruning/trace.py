"""Which channels can only go together: closures over Torch-Pruning's dependency graph.

Torch-Pruning traces the network and says which layer's channels touch which other's, with index mappings for flatten,
concat, split and slice (Fang et al. 2023). Its own groups resolve silently where one channel is reached from two roots
(the sum of two halves of one tensor). Here such roots become one unit: closures are followed with a union-find, and
each edge is walked once per channel. Roots of grouped convolutions and norms are united across the groups, since all
groups have to lose the same positions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
import torch_pruning
from torch import nn
from torch_pruning.dependency import index_mapping
from torch_pruning.ops import OPTYPE

from prunesearch.pruning.outlets import PRODUCERS, output_layers
from prunesearch.pruning.running import forward, tensors_of
from prunesearch.pruning.structure import Side

_UNCUT = {OPTYPE.MHA, OPTYPE.LSTM}
LOST = "its channels are lost in a reshape that cannot be followed"


class _Index(NamedTuple):
    """What Torch-Pruning's index mappings map: a channel here, and the channel of the root that it came from."""

    idx: int
    root_idx: int


@dataclass(frozen=True)
class Touched:
    """One side of one layer that a closure reaches: `index` are its channels, `element` the unit of each.

    `kind` is Torch-Pruning's word for the layer; `dim` only matters for bare parameters.
    """

    layer: str
    kind: OPTYPE
    side: Side
    dim: int
    index: tuple[int, ...]
    element: tuple[int, ...]


@dataclass(frozen=True)
class Closure:
    """Units that go together: their number, what they touch, and why they cannot be cut, where that is known."""

    size: int
    touched: tuple[Touched, ...]
    blocked: str | None


class _Classes:
    """Union-find over root channels: roots that meet in one channel are one unit."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._parent = {root: root for root in roots}

    def find(self, root: int) -> int:
        while self._parent[root] != root:
            self._parent[root] = self._parent[self._parent[root]]
            root = self._parent[root]
        return root

    def unite(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def numbered(self) -> dict[int, int]:
        """Root -> number of its unit, in the order of each unit's lowest root."""
        order = {root: i for i, root in enumerate(sorted({self.find(r) for r in self._parent}))}
        return {root: order[self.find(root)] for root in self._parent}


_Handler = Callable[..., Any]
_Reached: TypeAlias = dict[tuple[Any, _Handler], dict[int, int]]


@dataclass(frozen=True)
class _Traced:
    """A traced network.

    Args:
        graph: Torch-Pruning's graph.
        names: of modules and parameters.
        finals: the layers that make the output.
        limit: channels that no tensor between layers has: twice the largest dimension of any parameter, for halves of
            a layer's outputs may be read by different layers.
    """

    graph: Any
    names: dict[Any, str]
    finals: set[str]
    limit: int

    def name(self, node: Any) -> str | None:
        """The name of what stands behind a node; None for operations."""
        return self.names.get(node.module)

    def side(self, node: Any, fn: _Handler) -> Side:
        """Which channels of a layer a pruning function speaks of."""
        if node.type == OPTYPE.PARAMETER:
            return "parameter"
        return "out" if self.graph.is_out_channel_pruning_fn(fn) else "in"

    def width(self, node: Any, side: Side) -> int | None:
        """The channels that the side has."""
        width: int | None = self.graph.get_in_channels(node) if side == "in" else self.graph.get_out_channels(node)
        return width


def closures(model: nn.Module, example: Any) -> list[Closure]:
    """All closures of a network, in the order of their first Linear or Conv.

    Args:
        model: a private copy, which is run, put into evaluation mode and asked for gradients.
        example: its example input.

    Raises:
        Exception: whatever the network or Torch-Pruning's tracing raises on it.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    graph = _fullest_graph(model, example)
    names: dict[Any, str] = {m: n for n, m in model.named_modules()} | {p: n for n, p in model.named_parameters()}
    limit = 2 * max((size for p in model.parameters() for size in p.shape), default=1)
    traced = _Traced(graph, names, output_layers(model, example), limit)
    taken: dict[tuple[str, Side], set[int]] = {}
    found = []
    for name, module in model.named_modules():
        if isinstance(module, PRODUCERS) and module in graph.module2node:
            free = set(range(graph.get_out_channels(module))) - taken.get((name, "out"), set())
            if free:
                found.append(_closure(traced, module, sorted(free), taken))
    return found


def _fullest_graph(model: nn.Module, example: Any) -> Any:
    """The graph of evaluation, or that of training where it reaches more layers (auxiliary heads)."""
    graph = _graph(model, example, training=False)
    if _reach(graph) == sum(isinstance(m, PRODUCERS) for m in model.modules()):
        return graph
    try:
        other = _graph(model, example, training=True)
    except Exception:  # noqa: BLE001 -- a user's network may fail in training mode in any way; evaluation then stands
        return graph
    return other if _reach(other) > _reach(graph) else graph


def _reach(graph: Any) -> int:
    return sum(isinstance(m, PRODUCERS) for m in graph.module2node)


def _graph(model: nn.Module, example: Any, training: bool) -> Any:
    def run(network: nn.Module, inputs: Any) -> list[torch.Tensor]:
        network.train(training)
        return [t for t in tensors_of(forward(network, inputs)) if t.grad_fn is not None]

    graph = torch_pruning.DependencyGraph()
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            graph.build_dependency(model, example, forward_fn=run, verbose=False)
        except ZeroDivisionError:  # its last step, on reshapes behind a channel shuffle: the graph itself stands by then
            _map_one_by_one(graph)
    return graph


def _map_one_by_one(graph: Any) -> None:
    """Do that last step node by node, so that one that fails costs no other its mapping; the trial cut tells what is wrong."""
    nodes = graph.module2node
    for module, node in nodes.items():
        graph.module2node = {module: node}
        with suppress(ZeroDivisionError):
            index_mapping.update_index_mapping(graph)
    graph.module2node = nodes


def _closure(traced: _Traced, module: nn.Module, roots: Sequence[int], taken: dict[tuple[str, Side], set[int]]) -> Closure:
    classes = _Classes(roots)
    reached, whole = _follow(traced, module, roots, classes)
    _unite_within_groups(traced, reached, classes)
    unit_of = classes.numbered()
    touched = [_touched(traced, node, fn, pairs, unit_of) for (node, fn), pairs in reached.items() if traced.name(node)]
    lost = None if whole else LOST
    blocked = _blocked(traced, reached) or lost or _crossed(touched, taken)
    for item in touched:
        taken.setdefault((item.layer, item.side), set()).update(item.index)
    return Closure(max(unit_of.values()) + 1, tuple(touched), blocked)


def _follow(traced: _Traced, module: nn.Module, roots: Sequence[int], classes: _Classes) -> tuple[_Reached, bool]:
    """All channels that the roots touch, each with one root; roots that meet in a channel are united.

    A reshape that the graph misreads multiplies channels without end (a Swin transformer filled 20 GB). So the walk ends
    where a channel lies beyond every layer's width or its mapping fails, and the second value is False.
    """
    graph, reached = traced.graph, _Reached()
    work = [(graph.module2node[module], graph.get_pruner_of_module(module).prune_out_channels, [_Index(r, r) for r in roots])]
    while work:
        node, fn, pairs = work.pop()
        if not pairs:
            continue
        if max(pair.idx for pair in pairs) >= traced.limit:
            return reached, False
        fresh = _absorb(reached.setdefault((node, fn), {}), pairs, classes)
        triggered = [dep for dep in node.dependencies if fresh and dep.is_triggered_by(fn)]
        try:
            work += [(dep.target, dep.handler, _mapped(dep, fresh)) for dep in triggered]
        except IndexError:  # the mapping of a split whose parts the graph has counted wrongly
            return reached, False
    return reached, True


def _absorb(known: dict[int, int], pairs: Iterable[_Index], classes: _Classes) -> list[_Index]:
    """Note the pairs at one side of one layer; those whose channel is new there, the others united with what is known."""
    fresh = []
    for pair in pairs:
        root = known.get(pair.idx)
        if root is None:
            known[pair.idx] = pair.root_idx
            fresh.append(pair)
        elif root != pair.root_idx:
            classes.unite(root, pair.root_idx)
    return fresh


def _mapped(dep: Any, pairs: list[_Index]) -> list[_Index]:
    for mapping in dep.index_mapping:
        if mapping is not None:
            pairs = mapping(pairs)
    return pairs


def _unite_within_groups(traced: _Traced, reached: _Reached, classes: _Classes) -> None:
    """A convolution or norm in G groups has to lose the same positions in each group, on whichever side it is reached."""
    for (node, fn), pairs in reached.items():
        parts = node.module.groups if node.type == OPTYPE.CONV else node.module.num_groups if node.type == OPTYPE.GN else 1
        if parts == 1:
            continue
        width = traced.width(node, traced.side(node, fn)) or 1
        first: dict[int, int] = {}
        for idx, root in pairs.items():
            classes.unite(first.setdefault(idx % (width // parts), root), root)


def _touched(traced: _Traced, node: Any, fn: _Handler, pairs: dict[int, int], unit_of: dict[int, int]) -> Touched:
    index = sorted(pairs)
    name = traced.name(node) or ""
    return Touched(
        name, node.type, traced.side(node, fn), node.pruning_dim, tuple(index), tuple(unit_of[pairs[i]] for i in index)
    )


def _blocked(traced: _Traced, reached: _Reached) -> str | None:
    """Why the units cannot be cut, the plainest reason first."""
    sides = [(node, traced.side(node, fn), pairs) for (node, fn), pairs in reached.items()]
    if any(n.type == OPTYPE.OUTPUT or (side == "out" and traced.name(n) in traced.finals) for n, side, _ in sides):
        return "its units are the network's outputs"
    return next((reason for node, side, pairs in sides if (reason := _obstacle(traced, node, side, pairs))), None)


def _obstacle(traced: _Traced, node: Any, side: Side, pairs: dict[int, int]) -> str | None:
    what = f"{traced.name(node)} ({type(node.module).__name__})"
    if node.type == OPTYPE.LN and len(node.module.normalized_shape) > 1:
        return f"its channels pass {what}, which takes means over several dimensions at once"
    if node.type in _UNCUT:
        return f"its channels pass {what}, whose parts cannot be cut one by one"
    if node.type == OPTYPE.CONV and node.module.transposed and node.module.groups > 1:
        return f"its channels pass {what}, a grouped transposed convolution"
    width = traced.width(node, side)
    if width is not None and pairs and not 0 <= min(pairs) <= max(pairs) < width:
        return f"the channels traced into {what} do not fit its width"
    return None


def _crossed(touched: Sequence[Touched], taken: dict[tuple[str, Side], set[int]]) -> str | None:
    """Channels that another group has taken already: the graph says that they go together one way and not the other."""
    crossed = [t.layer for t in touched if taken.get((t.layer, t.side), set()) & set(t.index)]
    return f"its channels in {crossed[0]} belong to another group too" if crossed else None

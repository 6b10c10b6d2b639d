"""Groups: what can go together, and which entries of which tensors it owns.

A `WeightGroup` is the weight tensor of one Linear or Conv: its elements are single weights. A `UnitGroup` is a set of
neurons or filters that can only go together (residual sums, concatenations, depthwise convolutions, norms, the next
layers' inputs): its elements are whole units, each with slices in several tensors. Groups know names, never a model, so
one set of groups serves every instance of the same class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import torch

from prunesearch.criteria.base import Role
from prunesearch.fitting import chosen_groups, of_granularity
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo
from prunesearch.rules import ratio_of

Side = Literal["out", "in", "parameter"]


@dataclass(frozen=True)
class Slice:
    """The entries of one parameter tensor that belong to a group's units.

    Args:
        name: the parameter.
        role: what it is to the units, or None where it is masked and cut with them but says nothing of their importance.
        dim: the dimension along which units lie.
        index: positions along that dimension, (k,) long.
        element: the unit that each position belongs to, (k,) long.
    """

    name: str
    role: Role | None
    dim: int
    index: torch.Tensor
    element: torch.Tensor


@dataclass(frozen=True)
class Share:
    """The channels of one layer that belong to a group's units, as the layer counts them.

    Args:
        layer: the module's name, or the parameter's where `side` is "parameter".
        side: which of its channels: outputs, inputs, or positions along `dim` of a bare parameter.
        dim: the dimension, for bare parameters.
        index: channels, (k,) long.
        element: the unit that each channel belongs to, (k,) long.
    """

    layer: str
    side: Side
    dim: int
    index: torch.Tensor
    element: torch.Tensor


@dataclass(frozen=True)
class WeightGroup:
    """Single weights: the entries of `tensors`, one after the other."""

    info: GroupInfo
    tensors: tuple[str, ...]
    bias: str | None = None

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.info.name


@dataclass(frozen=True)
class UnitGroup:
    """Neurons or filters that go together.

    Args:
        info: name, kind, members, size, parameters, and why it is spared.
        slices: what is masked.
        shares: what is cut.
    """

    info: GroupInfo
    slices: tuple[Slice, ...]
    shares: tuple[Share, ...]

    @property
    def name(self) -> str:
        """The name of the first layer that produces the units."""
        return self.info.name

    @property
    def layers(self) -> tuple[str, ...]:
        """The Linear and Conv layers that produce the units."""
        return self.info.layers


Group = WeightGroup | UnitGroup
AnyGroup = TypeVar("AnyGroup", WeightGroup, UnitGroup)


@dataclass(frozen=True)
class Groups:
    """All groups of a network, of weights and of units, spared ones included.

    Args:
        weights: one per Linear and Conv layer.
        units: all that has to go together.
        draws: whether training draws numbers whose count depends on widths (dropout).
    """

    weights: tuple[WeightGroup, ...]
    units: tuple[UnitGroup, ...]
    draws: bool = False

    @cached_property
    def infos(self) -> tuple[GroupInfo, ...]:
        """What there is to know of every group without torch: weights first, then units, in the order of the model."""
        every: tuple[Group, ...] = (*self.weights, *self.units)
        return tuple(g.info for g in every)

    def of(self, granularity: str) -> tuple[Group, ...]:
        """All groups of a granularity, spared ones included."""
        every: tuple[Group, ...] = self.weights if granularity == "weight" else self.units
        names = {info.name for info in of_granularity(self.infos, granularity)}
        return tuple(g for g in every if g.name in names)

    def chosen(self, policy: Policy) -> tuple[Group, ...]:
        """The groups that a policy prunes, in the order of the model.

        Raises:
            PolicyError: the policy does not fit the network, see `chosen_groups`.
        """
        names = {info.name for info in chosen_groups(self.infos, policy)}
        return tuple(_with_options(g, policy) for g in self.of(policy.granularity) if g.name in names)


def level_of(name: str, amount: float | Mapping[str, float]) -> float:
    """The fraction of group `name`: exact name, else the longest glob that matches, else `default`, else nothing."""
    return ratio_of(name, amount) if isinstance(amount, Mapping) else amount


def spared_for(group: AnyGroup, reason: str) -> AnyGroup:
    """The group, spared for `reason`; the first reason stays, but for the output layer's, which a policy may lift."""
    lasts = group.info.spared and not group.info.output
    return group if lasts else replace(group, info=replace(group.info, spared=reason, output=False))


def _with_options(group: Group, policy: Policy) -> Group:
    """Weight groups as the policy's `prune_bias` and `prune_output_layer` want them."""
    if not isinstance(group, WeightGroup):
        return group
    info = replace(group.info, spared=None) if group.info.output and policy.prune_output_layer else group.info
    tensors = (*group.tensors, group.bias) if policy.prune_bias and group.bias else group.tensors
    return replace(group, info=info, tensors=tensors)

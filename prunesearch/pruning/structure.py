"""Groups: what can go together, and which entries of which tensors it owns.

A `WeightGroup` is the weight tensor of one Linear or Conv: its elements are single weights. A `UnitGroup` is a set of
neurons or filters that can only go together (residual sums, concatenations, depthwise convolutions, norms, the next
layers' inputs): its elements are whole units, each with slices in several tensors. Groups know names, never a model, so
one set of groups serves every instance of the same class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal, TypeVar

import torch

from prunesearch.catalogue import CRITERIA
from prunesearch.criteria.base import Role
from prunesearch.errors import PolicyError, did_you_mean
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
    output: bool = False

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
        layers: the Linear and Conv layers that produce the units.
    """

    info: GroupInfo
    slices: tuple[Slice, ...]
    shares: tuple[Share, ...]
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the first layer that produces the units."""
        return self.info.name

    @property
    def has_norm(self) -> bool:
        """Whether a norm with a scale stands behind the units."""
        return any(s.role == "norm_scale" for s in self.slices)


Group = WeightGroup | UnitGroup
AnyGroup = TypeVar("AnyGroup", WeightGroup, UnitGroup)


@dataclass(frozen=True)
class Groups:
    """All groups of a network, of weights and of units, spared ones included."""

    weights: tuple[WeightGroup, ...]
    units: tuple[UnitGroup, ...]

    @cached_property
    def infos(self) -> tuple[GroupInfo, ...]:
        """What there is to know of every group without torch: weights first, then units, in the order of the model."""
        every: tuple[Group, ...] = (*self.weights, *self.units)
        return tuple(g.info for g in every)

    @property
    def norms(self) -> bool:
        """Whether a norm stands behind any prunable unit (criterion bn_scale)."""
        return any(g.has_norm for g in self.units if g.info.spared is None)

    def of(self, granularity: str) -> tuple[Group, ...]:
        """All groups of a granularity, spared ones included."""
        if granularity == "weight":
            return self.weights
        kinds = ("neuron", "filter") if granularity == "unit" else (granularity,)
        return tuple(g for g in self.units if g.info.kind in kinds)

    def chosen(self, policy: Policy) -> tuple[Group, ...]:
        """The groups that a policy prunes, in the order of the model.

        Raises:
            PolicyError: a name or glob in `spare`, `only` or `ratio` matches nothing, a width is smaller than
                `round_to`, the criterion needs norms that are not there, or nothing is left to prune.
        """
        groups = tuple(_with_options(g, policy) for g in self.of(policy.granularity))
        for name in ("spare", "only"):
            _matching(name, getattr(policy, name), groups)
        picked = tuple(g for g in groups if _reason(g, policy) is None)
        if not picked:
            raise PolicyError(f"granularity '{policy.granularity}': nothing is left to prune{_reasons(groups, policy)}")
        if policy.ratio is not None:
            _check_ratios(policy.ratio, groups, policy)
        _check_units(picked, policy)
        return picked


def level_of(name: str, amount: float | Mapping[str, float]) -> float:
    """The fraction of group `name`: exact name, else the longest glob that matches, else `default`, else nothing."""
    return ratio_of(name, amount) if isinstance(amount, Mapping) else amount


def matches(group: Group, globs: Iterable[str]) -> bool:
    """Whether one of the names or globs means this group, by its name or by a layer that produces its units."""
    names = (group.name, *group.layers) if isinstance(group, UnitGroup) else (group.name,)
    return any(fnmatchcase(name, glob) for glob in globs for name in names)


def spared_for(group: AnyGroup, reason: str) -> AnyGroup:
    """The group, spared for `reason`; the first reason stays."""
    return group if group.info.spared else replace(group, info=replace(group.info, spared=reason))


def _with_options(group: Group, policy: Policy) -> Group:
    """Weight groups as the policy's `prune_bias` and `prune_output_layer` want them."""
    if not isinstance(group, WeightGroup):
        return group
    info = replace(group.info, spared=None) if group.output and policy.prune_output_layer else group.info
    tensors = (*group.tensors, group.bias) if policy.prune_bias and group.bias else group.tensors
    return replace(group, info=info, tensors=tensors)


def _reason(group: Group, policy: Policy) -> str | None:
    if group.info.spared:
        return group.info.spared
    if matches(group, policy.spare):
        return "spared by the policy"
    if policy.only and not any(fnmatchcase(group.name, glob) for glob in policy.only):
        return "not among the policy's `only`"
    return None


def _reasons(groups: tuple[Group, ...], policy: Policy) -> str:
    if not groups:
        return "; the network has no such group"
    return "".join(f"\n  - {g.name}: {_reason(g, policy)}" for g in groups)


def _matching(field_name: str, globs: Iterable[str], groups: tuple[Group, ...]) -> None:
    for glob in globs:
        if not any(matches(g, (glob,)) for g in groups):
            raise PolicyError(f"{field_name}: '{glob}' matches no group", did_you_mean(glob, [g.name for g in groups]))


def _check_ratios(ratio: Mapping[str, float], groups: tuple[Group, ...], policy: Policy) -> None:
    for key in ratio:
        if key == "default":
            continue
        meant = [g for g in groups if fnmatchcase(g.name, key)]
        if not meant:
            raise PolicyError(f"ratio.{key}: matches no group", did_you_mean(key, [g.name for g in groups]))
        if all(_reason(g, policy) for g in meant):
            raise PolicyError(f"ratio.{key}: names only what is not pruned{_reasons(tuple(meant), policy)}")


def _check_units(picked: tuple[Group, ...], policy: Policy) -> None:
    if policy.granularity == "weight":
        return
    if policy.prune_output_layer:
        raise PolicyError("prune_output_layer: outputs of the network cannot be removed; it is for granularity 'weight'")
    narrow = [f"{g.name} ({g.info.size})" for g in picked if g.info.size < policy.round_to]
    if narrow:
        raise PolicyError(f"round_to: {policy.round_to} is more than the width of {', '.join(narrow)}", "spare these groups")
    bare = [g.name for g in picked if isinstance(g, UnitGroup) and not g.has_norm]
    if CRITERIA[policy.criterion].norms and bare:
        raise PolicyError(f"criterion '{policy.criterion}': no norm stands behind {', '.join(bare)}", "spare these groups")

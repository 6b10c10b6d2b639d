"""The expert's masks: 0/1 tensors, selected by magnitude, multiplied after every step."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.peers.plan import Policy
from benchmarks.scenarios import Scenario, Units


class Masks:
    """The masks of one network under one policy.

    Args:
        model: whose parameters are masked.
        scenario: what can go.
        policy: granularity and scope.
    """

    def __init__(self, model: nn.Module, scenario: Scenario, policy: Policy) -> None:
        self._parameters = dict(model.named_parameters())
        self._scenario, self._policy = scenario, policy
        self._kept: dict[str, torch.Tensor] = {}
        self._masks: dict[str, torch.Tensor] = {}
        self._tensors: list[torch.Tensor] = []

    @property
    def left(self) -> int:
        """Parameters that are not masked: what a smaller network would have."""
        gone = sum(int((mask == 0).sum()) for mask in self._masks.values())
        return sum(p.numel() for p in self._parameters.values()) - gone

    @torch.no_grad()
    def cut(self, level: float) -> None:
        """Take away the smallest up to a cumulative level; what is gone stays gone."""
        weights = self._policy["granularity"] == "weight"
        names = self._scenario.layers if weights else tuple(u.layer for u in self._scenario.units)
        scores = {name: self._score(name, weights=weights) for name in names}
        groups = [list(names)] if self._policy["scope"] == "global" else [[name] for name in names]
        for group in groups:
            self._select(group, scores, level)
        self._masks = self._weight_masks() if weights else self._unit_masks()
        self._tensors = [self._parameters[name] for name in self._masks]
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Zero what is masked."""
        if self._tensors:
            torch._foreach_mul_(self._tensors, list(self._masks.values()))

    def _score(self, name: str, *, weights: bool) -> torch.Tensor:
        """|w| of every weight, or the sum of |w| of every unit's row; units of all layers on one scale where they compete."""
        magnitude = self._parameters[f"{name}.weight"].abs()
        if weights:
            return magnitude.reshape(-1)
        rows = magnitude.flatten(1).sum(1)
        left = self._kept.get(name, torch.ones_like(rows)) > 0
        return rows / rows[left].mean() if self._policy["scope"] == "global" else rows

    def _select(self, group: list[str], scores: dict[str, torch.Tensor], level: float) -> None:
        ranked = torch.cat([torch.where(self._kept.get(n, scores[n].new_ones(1)) > 0, scores[n], -1.0) for n in group])
        keep = torch.ones_like(ranked)
        keep[ranked.argsort(stable=True)[: math.floor(len(ranked) * level + 1e-9)]] = 0
        for name, part in zip(group, keep.split([len(scores[n]) for n in group]), strict=True):
            if not bool(part.any()):
                part[scores[name].argmax()] = 1  # every layer keeps one
            self._kept[name] = part

    def _weight_masks(self) -> dict[str, torch.Tensor]:
        shapes = {name: self._parameters[f"{name}.weight"] for name in self._kept}
        return {f"{name}.weight": torch.empty_like(p).copy_(self._kept[name].view(p.shape)) for name, p in shapes.items()}

    def _unit_masks(self) -> dict[str, torch.Tensor]:
        masks: dict[str, torch.Tensor] = {}
        for units in self._scenario.units:
            kept = self._kept[units.layer]
            for name in (f"{units.layer}.weight", f"{units.layer}.bias", f"{units.norm}.weight", f"{units.norm}.bias"):
                if name in self._parameters:
                    self._mask(masks, name, kept, 0)
            self._mask(masks, f"{units.follower}.weight", _columns(units, kept), 1)
        return masks

    def _mask(self, masks: dict[str, torch.Tensor], name: str, kept: torch.Tensor, dim: int) -> None:
        shape = [1] * self._parameters[name].dim()
        shape[dim] = -1
        masks.setdefault(name, torch.ones_like(self._parameters[name], requires_grad=False)).mul_(kept.view(shape))


def _columns(units: Units, kept: torch.Tensor) -> torch.Tensor:
    return kept.repeat_interleave(units.repeat)

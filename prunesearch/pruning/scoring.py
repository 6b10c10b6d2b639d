"""From an order to a selection: measures what the criterion needs, scores what is left, selects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from prunesearch.catalogue import CRITERIA
from prunesearch.criteria import load_criterion
from prunesearch.errors import InfeasibleError, PolicyError
from prunesearch.policy import Policy
from prunesearch.pruning.gradients import Losses, mean_gradients
from prunesearch.pruning.parts import Values, parts_of
from prunesearch.pruning.recovery import swapped_in
from prunesearch.pruning.select import Rules, Selection, select
from prunesearch.pruning.structure import Group, UnitGroup
from prunesearch.schedules.base import Order


@dataclass(frozen=True)
class Selector:
    """Selects for one policy on one network.

    Args:
        policy: says criterion, scope, floors and widths.
        groups: those that the policy prunes.
        losses: training batches for criteria that need gradients.
        initial: initial values by name, where the criterion needs them.
        seed: of everything that is drawn.
    """

    policy: Policy
    groups: Sequence[Group]
    losses: Losses | None
    initial: Mapping[str, torch.Tensor] | None
    seed: int

    def select(self, model: nn.Module, order: Order, gone: Mapping[str, torch.Tensor], epoch: int) -> Selection:
        """Which elements are gone after `order`.

        Args:
            model: the network as it stands.
            order: the schedule's word.
            gone: what is gone already and stays so; empty where everything competes again.
            epoch: the epoch before which this is; it seeds the draws.

        Raises:
            InfeasibleError: scores are not finite.
            PolicyError: the criterion lacks what it needs.
        """
        values = self._values(model, epoch)
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch))
        scores = {g.name: self._scores(g, values, gone.get(g.name), generator) for g in self.groups}
        scope = self.policy.scope or "layer"
        units = self.policy.is_unit
        return select(
            scores,
            Rules(
                order.amount,
                order.absolute,
                scope,
                normalised=units and (order.absolute or scope == "global"),
                min_units=self.policy.min_units,
                round_to=self.policy.round_to,
            ),
        )

    def _scores(self, group: Group, values: Values, lost: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        """(n,) scores: the criterion's for what is left, minus infinity for what is gone."""
        left = None if lost is None or not bool(lost.any()) else ~lost
        found = load_criterion(self.policy.criterion)(parts_of(group, values, left), generator)
        if not bool(torch.isfinite(found).all()):
            raise InfeasibleError(
                f"criterion '{self.policy.criterion}': scores of {group.name} are not finite; training diverged"
            )
        if left is None:
            return found
        scores = torch.full_like(left, -torch.inf, dtype=found.dtype)
        scores[left] = found
        return scores

    def _values(self, model: nn.Module, epoch: int) -> Values:
        info = CRITERIA[self.policy.criterion]
        weight = {name: p.detach() for name, p in model.named_parameters()}
        if not info.gradient_batches:
            return Values(weight, self.initial)
        names, seed = self._names(), seed_of(self.seed, epoch)
        if self.losses is None:
            raise PolicyError(f"criterion '{info.name}' needs gradients", "give the session `losses`")
        if info.initial and self.initial is not None:
            with swapped_in(model, self.initial):
                grad, _ = mean_gradients(model, names, self.losses, info.gradient_batches, seed)
            return Values(weight, self.initial, initial_grad=grad)
        grad, grad_sq = mean_gradients(model, names, self.losses, info.gradient_batches, seed)
        return Values(weight, self.initial, grad, grad_sq)

    def _names(self) -> list[str]:
        """All parameters of which the groups own a part."""
        found: dict[str, None] = {}
        for group in self.groups:
            owned = [s.name for s in group.slices if s.role] if isinstance(group, UnitGroup) else group.tensors
            found |= dict.fromkeys(owned)
        return list(found)


def seed_of(seed: int, epoch: int) -> int:
    """The seed of what is drawn before `epoch`, 63 bits."""
    return int.from_bytes(hashlib.blake2b(f"pruning {seed} {epoch}".encode(), digest_size=8).digest()) >> 1

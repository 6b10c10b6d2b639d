"""Which groups of a network a policy prunes, and whether it fits them. No torch: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from prunesearch.catalogue import CRITERIA
from prunesearch.errors import PolicyError, did_you_mean
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo, TaskInfo


class Selection(Protocol):
    """What decides which groups are pruned: a policy's fields, or what a study says of all its policies."""

    @property
    def spare(self) -> tuple[str, ...]:
        """Groups that are never pruned, as names or globs."""
        ...

    @property
    def only(self) -> tuple[str, ...]:
        """The only groups that are pruned; empty = all."""
        ...

    @property
    def prune_output_layer(self) -> bool:
        """Whether the output layer's weights are pruned too."""
        ...


def granularities_of(info: TaskInfo, task: str) -> tuple[str, ...]:
    """The granularities that a network has something for.

    Args:
        info: what the task is.
        task: its reference, for what is told; empty where it has none.

    Raises:
        PolicyError: nothing of it can be pruned.
    """
    if not info.granularities:
        hint = f"'prunesearch groups --task {task}' says why" if task else None
        raise PolicyError(f"{info.name} has nothing that can be pruned", hint)
    return info.granularities


def of_granularity(groups: Iterable[GroupInfo], granularity: str) -> tuple[GroupInfo, ...]:
    """All groups of a granularity, spared ones included."""
    kinds = ("neuron", "filter") if granularity == "unit" else (granularity,)
    return tuple(g for g in groups if g.kind in kinds)


def matches(group: GroupInfo, globs: Iterable[str]) -> bool:
    """Whether one of the names or globs means this group, by its name or by a layer that produces its units."""
    return any(fnmatchcase(name, glob) for glob in globs for name in (group.name, *group.layers))


def chosen_groups(groups: Sequence[GroupInfo], policy: Policy, task: str = "") -> tuple[GroupInfo, ...]:
    """The groups that a policy prunes, in the order of the model.

    Args:
        groups: all groups of the network.
        policy: what is asked.
        task: the task's reference, for what is told; empty where it has none.

    Raises:
        PolicyError: a name or glob in `spare`, `only` or `ratio` matches nothing, a width is smaller than
            `round_to`, the criterion needs norms that are not there, or nothing is left to prune.
    """
    of_kind = of_granularity(groups, policy.granularity)
    for field in ("spare", "only"):
        for glob in getattr(policy, field):
            if not any(matches(g, (glob,)) for g in of_kind):
                raise _unknown(field, glob, of_kind, task)
    picked = tuple(g for g in of_kind if why_spared(g, policy) is None)
    if not picked:
        raise PolicyError(f"granularity '{policy.granularity}': nothing is left to prune{_reasons(of_kind, policy)}")
    if policy.ratio is not None:
        _check_ratios(policy.ratio, of_kind, policy, task)
    if policy.is_unit:
        _check_units(picked, policy)
    return picked


def _unknown(field: str, glob: str, groups: Iterable[GroupInfo], task: str) -> PolicyError:
    hint = did_you_mean(glob, [g.name for g in groups])
    listed = f" ('prunesearch groups --task {task}' lists them)" if task else ""
    return PolicyError(f"{field}: '{glob}' matches no group{f' of {task}' if task else ''}", f"{hint}{listed}")


def why_spared(group: GroupInfo, selection: Selection) -> str | None:
    """Why a policy, or a whole study, does not prune a group, or None."""
    if group.spared and not (group.output and selection.prune_output_layer):
        return group.spared
    if matches(group, selection.spare):
        return "spared by the policy"
    if selection.only and not matches(group, selection.only):
        return "not among the policy's `only`"
    return None


def _reasons(groups: Sequence[GroupInfo], policy: Policy) -> str:
    if not groups:
        return "; the network has no such group"
    return "".join(f"\n  - {g.name}: {why_spared(g, policy)}" for g in groups)


def _check_ratios(ratio: Mapping[str, float], groups: Sequence[GroupInfo], policy: Policy, task: str) -> None:
    for key in ratio:
        if key == "default":
            continue
        meant = [g for g in groups if fnmatchcase(g.name, key)]
        if not meant:
            raise _unknown("ratio", key, groups, task)
        if all(why_spared(g, policy) for g in meant):
            raise PolicyError(f"ratio: '{key}' names only what is not pruned{_reasons(meant, policy)}")


def _check_units(picked: Sequence[GroupInfo], policy: Policy) -> None:
    if policy.prune_output_layer:
        raise PolicyError("prune_output_layer: outputs of the network cannot be removed; it is for granularity 'weight'")
    narrow = [f"{g.name} ({g.size})" for g in picked if g.size < policy.round_to]
    if narrow:
        raise PolicyError(f"round_to: {policy.round_to} is more than the width of {', '.join(narrow)}", "spare these groups")
    bare = [g.name for g in picked if not g.norm]
    if CRITERIA[policy.criterion].norms and bare:
        raise PolicyError(
            f"criterion: '{policy.criterion}' needs a norm behind every unit, and there is none behind {', '.join(bare)}",
            "spare these groups, or take another criterion",
        )

"""The keys of scope `ratios`: one searched fraction per group, per glob that the study names, or per stage when tied.

A stage is what the names of groups have in common up to some dot: `layer1.0.conv1` and `layer1.2.conv1` share
`layer1.*`. Many ratios and few trials do not go together: from trials / 3 ratios on they are tied, unless the study
says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prunesearch.errors import StudyError, bulleted, did_you_mean
from prunesearch.fitting import matches, of_granularity, why_spared
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.results import GroupInfo, TaskInfo
from prunesearch.rules import REST, matching, ratio_of
from prunesearch.spec import Range, StudySpec

TRIALS_PER_RATIO = 3
"""Fewer trials than this per ratio, and ratios are tied."""


@dataclass(frozen=True)
class Wanted:
    """What the study says about ratios and groups.

    Args:
        ranges: range per group name or glob; `default` for the rest.
        spare: groups that are never pruned, as names or globs.
        only: the only groups that are pruned; empty = all.
        prune_output_layer: whether any policy may prune the output layer's weights too.
        tie: whether groups without a key of their own are tied per stage.
    """

    ranges: Mapping[str, Range]
    spare: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    prune_output_layer: bool = False
    tie: bool = False


def wanted_of(spec: StudySpec, info: TaskInfo) -> Wanted:
    """What a study says about ratios and groups, tying decided.

    Raises:
        StudyError: a name or glob matches no group.
    """
    ranges = {key.removeprefix("ratio."): found for key, found in spec.space.items() if key.startswith("ratio.")}
    spare, only = (tuple(spec.space[n].choices or ()) if n in spec.space else () for n in ("spare", "only"))
    output = "prune_output_layer" in spec.space and True in (spec.space["prune_output_layer"].choices or ())
    wanted = Wanted(ranges, spare, only, output)
    check_globs(info, wanted)
    tie = spec.tie_ratios if spec.tie_ratios is not None else many_ratios(info, wanted, spec.trials)
    return replace(wanted, tie=tie)


def globs_of(info: TaskInfo, granularity: str, wanted: Wanted) -> dict[str, tuple[str, ...]]:
    """A policy's `spare` and `only`: those of the study that mean any group of the granularity."""
    groups = of_granularity(info.groups, granularity)
    found = {"spare": wanted.spare, "only": wanted.only}
    return {where: tuple(glob for glob in globs if any(matches(g, (glob,)) for g in groups)) for where, globs in found.items()}


def known_ratios(ratio: Mapping[str, float], groups: Sequence[GroupInfo], keys: Mapping[str, Range]) -> dict[str, float | None]:
    """The ratios of a policy under the keys of the space, as `ratio.<key>`; None where groups under one key differ."""
    out: dict[str, float | None] = {}
    for key in keys:
        meant = {ratio_of(g.name, ratio) for g in groups if matching(g.name, list(keys)) == key}
        out[f"ratio.{key}"] = meant.pop() if len(meant) == 1 else None
    return out


def stray_keys(ratio: Mapping[str, float], groups: Sequence[GroupInfo]) -> list[str]:
    """The keys of a policy's ratios that speak for no group, each with the nearest name."""
    names = [g.name for g in groups]
    strays = [key for key in ratio if key != REST and not any(matching(name, [key]) for name in names)]
    return [f"ratio.{key}: no group is called so; {did_you_mean(key, names)}" for key in strays]


def pruned_groups(info: TaskInfo, granularity: str, wanted: Wanted) -> tuple[GroupInfo, ...]:
    """The groups that a granularity prunes under the study's `spare` and `only`."""
    return tuple(g for g in of_granularity(info.groups, granularity) if why_spared(g, wanted) is None)


def ratio_keys(groups: Sequence[GroupInfo], wanted: Wanted) -> dict[str, Range]:
    """The keys that a policy's `ratio` gets for these groups, each with its range, in the order of the groups."""
    said = [key for key in wanted.ranges if key != REST]
    default = wanted.ranges.get(REST) or usual_range()
    own = {g.name: key for g in groups if (key := matching(g.name, said)) is not None}
    tied = _tied([g.name for g in groups if g.name not in own], own) if wanted.tie else {}
    keys: dict[str, Range] = {}
    for group in groups:
        key = own.get(group.name) or tied.get(group.name, group.name)
        keys.setdefault(key, wanted.ranges[key] if group.name in own else default)
    return keys


def _tied(names: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """Name -> key of its stage, but for stages whose key would speak for a group with a key of its own (name -> key)."""
    stages = stage_keys(names)
    taken = {stage for stage in set(stages.values()) if any(matching(name, [stage, key]) == stage for name, key in own.items())}
    return {name: stage for name, stage in stages.items() if stage not in taken}


def usual_range() -> Range:
    """The range of a ratio about which nothing is said."""
    low, high = HYPERPARAMETERS["ratio"].search or (0.0, 0.0)
    return Range(low=float(low), high=float(high))


def stage_keys(names: Sequence[str]) -> dict[str, str]:
    """Group name -> glob of its stage: the shortest common prefixes that tell stages apart and still tie groups."""
    deepest = max((name.count(".") for name in names), default=0)
    for depth in range(1, deepest + 1):
        keys = {name: _prefix(name, depth) for name in names}
        if 1 < len(set(keys.values())) < len(names):
            return keys
    return {name: _prefix(name, 1) for name in names}


def _prefix(name: str, depth: int) -> str:
    parts = name.split(".")
    return name if len(parts) <= depth else ".".join(parts[:depth]) + ".*"


def many_ratios(info: TaskInfo, wanted: Wanted, trials: int) -> bool:
    """Whether some granularity would have more ratios than trials / 3."""
    counts = [len(ratio_keys(pruned_groups(info, g, wanted), wanted)) for g in info.granularities]
    return max(counts, default=0) > trials / TRIALS_PER_RATIO


def check_globs(info: TaskInfo, wanted: Wanted) -> None:
    """Refuse names and globs that match no group.

    Raises:
        StudyError: naming each of them, with the nearest name, or with why the group is spared.
    """
    problems = []
    for key in (key for key in wanted.ranges if key != REST):
        meant = [g for g in info.groups if matching(g.name, [key])]
        if not meant:
            problems.append(_unknown(f"ratio.{key}", key, info))
        elif all(why_spared(g, replace(wanted, spare=(), only=())) for g in meant):
            problems.append(f"space.ratio.{key}: is never pruned ({meant[0].spared})")
    for where, globs in (("spare", wanted.spare), ("only", wanted.only)):
        unknown = [glob for glob in globs if not any(matches(g, (glob,)) for g in info.groups)]
        problems += [_unknown(f"{where}: {glob}", glob, info) for glob in unknown]
    if problems:
        raise StudyError(f"study: {bulleted(problems)}", "'prunesearch groups' lists the groups of a task")


def _unknown(said: str, glob: str, info: TaskInfo) -> str:
    return f"space.{said}: no group is called so; {did_you_mean(glob, [g.name for g in info.groups])}"

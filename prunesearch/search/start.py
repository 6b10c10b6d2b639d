"""What is tried first: the study's own `start` policies, or a few that are known to be good almost everywhere.

A sensitivity analysis adds policies of scope `ratios` in which every group goes as far as it alone tolerates.

The known ones are Zhu & Gupta's (2017) gradual cubic schedule, which on small networks keeps the dense accuracy at ten
to thirty times fewer weights, one-shot pruning early in training, and learning-rate rewinding. They span the range from
half to a twentieth of a network, so that the sampler starts from a front instead of from nothing.

They are tried in the order of their first cuts, the earliest first: trials share the dense epochs before it, so it has most
of its epochs to train itself, and with the longest first no worker is left alone with a long one at the end. Policies that
begin alike keep the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prunesearch.errors import DefinitionError, StudyError, bulleted
from prunesearch.hyperparameters import UNIT_GRANULARITIES
from prunesearch.policy import Policy
from prunesearch.search.narrowing import tolerated
from prunesearch.search.planner import shared_epochs
from prunesearch.search.space import Located, SearchSpace
from prunesearch.sensitivity import Sensitivity
from prunesearch.spec import StudySpec

SHARE = 4
"""At most every so many trials one of the known policies is tried."""

TOLERATED = (1, 5, 2, 0.5)
"""Points lost at which a sensitivity's groups end in a policy each; what comes first is tried where trials are few."""

_BEGIN, _RAMP = 0.1, 0.5  # shares of the epochs: first cut, and length of the ramp

_GRADUAL = {"schedule_type": "magnitude_percentage", "function": "gradual", "scope": "global", "criterion": "l1", "ramp": "cubic"}
_RATIOS = {**_GRADUAL, "scope": "ratios"}
_ONCE = {"schedule_type": "magnitude_percentage", "function": "one_shot_static", "scope": "layer", "criterion": "l1"}
_REWIND = {"schedule_type": "rewind_pruning", "scope": "global", "criterion": "l1", "threshold_step": 0.05, "eps": 0.01}

_KNOWN: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("units", {**_GRADUAL, "threshold": 0.5}),
    ("weight", {**_GRADUAL, "threshold": 0.9}),
    ("units", {**_GRADUAL, "threshold": 0.75}),
    ("weight", {**_GRADUAL, "threshold": 0.95}),
    ("units", {**_GRADUAL, "threshold": 0.9}),
    ("weight", {**_ONCE, "threshold": 0.8}),
    ("units", {**_ONCE, "threshold": 0.5}),
    ("weight", {**_REWIND, "threshold": 0.8}),
)


def start_policies(spec: StudySpec, space: SearchSpace) -> tuple[Located, ...]:
    """The policies that are tried first, each once, those with the earliest first cut before the others.

    Raises:
        StudyError: one of the study's own is not valid or not in the space; with everything that is wrong.
    """
    found = _own(spec, space) if spec.start else known_good(space, spec.trials)
    found += tolerable(space, spec.sensitivity, spec.trials) if spec.sensitivity else []
    return tuple(sorted(_distinct(found), key=lambda located: shared_epochs(located.policy)))


def _own(spec: StudySpec, space: SearchSpace) -> list[Located]:
    found, problems = [], []
    for index, given in enumerate(spec.start):
        try:
            found.append(space.locate(_policy(given, space)))
        except DefinitionError as error:
            problems.append(f"start[{index}]: {error.message.removeprefix('policy: ')}")
    if problems:
        raise StudyError(f"study '{spec.name}': {bulleted(problems)}", "change these policies, or widen the space")
    return found


def _policy(given: Mapping[str, Any], space: SearchSpace) -> Policy:
    """A start policy with what it leaves open; one that was made for another number of epochs is rescaled."""
    epochs = given.get("epochs", space.epochs)
    if epochs != space.epochs:
        return Policy.parse(given).rescaled(space.epochs)
    return Policy.parse(space.filled(given))


def known_good(space: SearchSpace, trials: int) -> list[Located]:
    """Known policies, moved into the space where they lie outside; at most a quarter as many as trials, at least one."""
    words = {branch["granularity"] for branch in space.branches}
    units = [g for g in reversed(UNIT_GRANULARITIES) if g in words][:1]  # `unit` covers neurons and filters
    of_kind = {"units": units, "weight": sorted(words & {"weight"})}
    found = [_placed({**fields, "granularity": g}, space) for kind, fields in _KNOWN for g in of_kind[kind]]
    return list(_distinct(found))[: max(1, trials // SHARE)]


def tolerable(space: SearchSpace, found: Sensitivity, trials: int) -> list[Located]:
    """Policies that prune every group as far as it alone tolerates; at most a quarter as many as trials, at least one.

    Raises:
        StudyError: the space has no scope `ratios` for anything that was measured.
    """
    words = {branch["granularity"] for branch in space.branches if branch.get("scope") == "ratios"}
    measured = {g for g in words if any(found.curve(group) for group in space.groups(g))}
    if not measured:
        kinds = " and ".join(found.kinds)
        raise StudyError(
            f"sensitivity: it was measured for {kinds}, and the space has no scope 'ratios' for that",
            "let the study's space have scope 'ratios' and that granularity, or leave the sensitivity out",
        )
    units = [g for g in reversed(UNIT_GRANULARITIES) if g in measured][:1]
    wanted = [(points, g) for points in TOLERATED for g in (*units, *sorted(measured & {"weight"}))]
    placed = [
        _placed(_RATIOS | {"granularity": g, "criterion": found.criterion} | _ends(space, g, found, points), space)
        for points, g in wanted
    ]
    removing = [located for located in placed if any((located.policy.ratio or {}).values())]
    return list(_distinct(removing))[: max(1, trials // SHARE)]


def _ends(space: SearchSpace, granularity: str, found: Sensitivity, points: float) -> dict[str, float]:
    """The ratio of every key at which its groups alone lose at most so many points; 0 where none was measured."""
    keys = space.ratios[granularity]
    return {f"ratio.{key}": tolerated(key, keys, space.groups(granularity), found, points) or 0.0 for key in keys}


def _placed(fields: Mapping[str, Any], space: SearchSpace) -> Located:
    """The policy of the space that is nearest, its epochs set for the space's N."""
    epochs = {"epoch_threshold": int(_BEGIN * space.epochs + 0.5), "converge_over": int(_RAMP * space.epochs + 0.5)}
    return space.locate(space.nearest({**epochs, **fields}))


def _distinct(found: Iterable[Located]) -> tuple[Located, ...]:
    return tuple({located.policy.digest: located for located in found}.values())

"""`Sensitivity`: what a network loses when one of its groups alone is pruned, group by group; a file that seeds a search.

The analysis is that of Han et al. 2015 ("Learning both weights and connections for efficient neural networks") for single
weights and of Li et al. 2016 ("Pruning filters for efficient ConvNets") for filters: every group is pruned alone, to a list of
ratios, and the accuracy on the validation split says how much of it can go.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunesearch import yamlfile
from prunesearch.errors import DefinitionError, StudyError, bulleted, did_you_mean
from prunesearch.policy import problems_of
from prunesearch.results import GroupInfo, TaskInfo

_WRITTEN = "'prunesearch sensitivity --task TASK --to FILE' writes one"
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

POINT = 0.01
"""One point: the loss of accuracy that most people would give for a much smaller network. Of a metric that is minimised, which
may have any scale, a point is this part of the dense network's value."""
SLACK = 1e-9
"""Points that count for nothing: 0.95 - 0.94 is more than 0.01 in binary."""


class GroupCurve(BaseModel):
    """One group, pruned alone.

    Args:
        group: its name, as in `ratio.<group>`.
        kind: what its elements are.
        size: how many it has.
        drops: per ratio, how much of the metric is lost against the dense network, the mean over seeds; positive is
            worse, in the metric's own unit; None where the trial failed.
        deviations: per ratio, the standard deviation of the drop over the seeds; empty for one seed.
        params: per ratio, parameters that the whole network has left; None where the trial failed.
    """

    model_config = _STRICT

    group: str = Field(min_length=1)
    kind: Literal["weight", "neuron", "filter"]
    size: int = Field(ge=1)
    drops: tuple[float | None, ...]
    deviations: tuple[float | None, ...] = ()
    params: tuple[int | None, ...] = ()

    @property
    def envelope(self) -> tuple[float, ...]:
        """The drops made monotone: at every ratio the largest up to it. A trial that failed is a loss without bound."""
        return tuple(accumulate((math.inf if drop is None else drop for drop in self.drops), max))


class Sensitivity(BaseModel):
    """The sensitivity of a network's groups, as `prunesearch sensitivity --to` writes it.

    Args:
        schema_version: of the file; raised when a field changes its meaning or goes.
        task: the task's reference.
        digest: the task's digest, with the initial values of `seed`.
        seed: of the split, and the first of `seeds`.
        seeds: of the networks that were trained.
        epochs: N of the dense network.
        retrain: epochs that were trained after the cut.
        criterion: by which elements were ranked.
        metric: name of the measure.
        direction: "maximize" or "minimize", of the metric.
        dense: the dense network's metric on the validation split, the mean over seeds.
        params: parameters of the dense network.
        ratios: fractions removed, ascending.
        groups: one curve per group, in the order of the network.
    """

    model_config = _STRICT

    schema_version: Literal[1] = 1
    task: str
    digest: str
    seed: int = Field(0, ge=0)
    seeds: tuple[int, ...] = Field(min_length=1)
    epochs: int = Field(ge=0)
    retrain: int = Field(0, ge=0)
    criterion: str
    metric: str = "accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    dense: float
    params: int = Field(ge=1)
    ratios: tuple[float, ...] = Field(min_length=1)
    groups: tuple[GroupCurve, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [] if ascending(self.ratios) else [f"ratios: must ascend, above 0 and below 1, got {list(self.ratios)}"]
        for curve in self.groups:
            for name in ("drops", "deviations", "params"):
                found = len(getattr(curve, name))
                if found not in ((len(self.ratios),) if name == "drops" else (0, len(self.ratios))):
                    problems.append(f"groups: {curve.group} has {found} {name} for {len(self.ratios)} ratios")
        keys = [(curve.group, curve.kind) for curve in self.groups]
        problems += [f"groups: {name} ({kind}) is there twice" for name, kind in set(keys) if keys.count((name, kind)) > 1]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def parse(cls, given: object, where: str = "sensitivity") -> Sensitivity:
        """A sensitivity from plain data.

        Raises:
            StudyError: listing everything that is wrong with it.
        """
        if not isinstance(given, Mapping):
            raise StudyError(f"{where}: holds no sensitivity", _WRITTEN)
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise StudyError(f"{where}: {bulleted(problems_of(error, cls.model_fields))}", _WRITTEN) from None

    @classmethod
    def load(cls, path: str | Path) -> Sensitivity:
        """A sensitivity from its file.

        Raises:
            StudyError: the file is missing, unreadable, or holds something else.
        """
        return cls.parse(yamlfile.load(path, StudyError), str(path))

    def to_dict(self) -> dict[str, Any]:
        """As plain data that `parse` reads back to an equal one."""
        return self.model_dump(mode="json")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was pruned: weight, neuron, filter, those that there are."""
        return tuple(dict.fromkeys(curve.kind for curve in self.groups))

    @property
    def short(self) -> str:
        """What it is, in a few words that differ where any figure does."""
        content = hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]
        return f"{len(self.groups)} groups of {self.task} ({content})"

    def curve(self, group: GroupInfo) -> GroupCurve | None:
        """The curve of a group, None where it was not measured."""
        return next((c for c in self.groups if (c.group, c.kind) == (group.name, group.kind)), None)

    def points(self, drop: float) -> float:
        """A drop, in the metric's own unit, in points; see `in_points`."""
        return in_points(drop, self.dense, maximize=self.direction == "maximize")

    def within(self, curve: GroupCurve, most: float) -> float:
        """The largest ratio tried at which a group alone, like at all ratios below, loses at most `most` points; else 0."""
        found = [r for r, worst in zip(self.ratios, curve.envelope, strict=True) if self.points(worst) <= most + SLACK]
        return max(found, default=0.0)

    def tolerated(self, group: GroupInfo, most: float) -> float | None:
        """How far a group may go within `most` points, as in `within`; None where it was not measured."""
        curve = self.curve(group)
        return None if curve is None else self.within(curve, most)

    def check_task(self, info: TaskInfo, seed: int) -> None:
        """Refuse a task that is not the one it was measured on.

        The digest covers initial values, which differ with the seed, so it is compared where the seeds are equal, and
        never with an engine that only pretends; the groups always are.

        Args:
            info: the task.
            seed: the seed under which `info` describes it.

        Raises:
            StudyError: with what differs.
        """
        known = {(g.name, g.kind): g for g in info.groups}
        names = {g.name for g in info.groups if g.spared is None}
        problems = []
        for curve in self.groups:
            there = known.get((curve.group, curve.kind))
            if there is None or there.spared is not None:
                problems.append(f"{info.name} prunes no {curve.kind} group '{curve.group}'; {did_you_mean(curve.group, names)}")
            elif there.size != curve.size:
                problems.append(f"group '{curve.group}' has {there.size:,} {curve.kind}s here, {curve.size:,} in the file")
        if not problems and seed == self.seed and info.device != "fake" and info.digest != self.digest:
            problems.append(f"data, network or recipe of {info.name} are not those of the file ({info.digest}, {self.digest})")
        if problems:
            hint = f"measure this one: prunesearch sensitivity --task {info.name} --to FILE"
            raise StudyError(f"the sensitivity was measured on another task, {self.task}: {bulleted(problems)}", hint)


def in_points(change: float, dense: float, *, maximize: bool) -> float:
    """A change of a metric, in its own unit, in points: hundredths where it is maximised, else per cent of `dense`."""
    point = POINT if maximize else POINT * abs(dense)
    return change / point if point else math.copysign(math.inf, change) if change else 0.0


def ascending(ratios: tuple[float, ...]) -> bool:
    """Whether fractions lie above 0 and below 1, each above the one before."""
    return all(0 < ratio < 1 for ratio in ratios) and all(a < b for a, b in pairwise(ratios))


def read(given: object) -> object:
    """A study's field `sensitivity`: a file's path becomes what the file holds; everything else stays as it is.

    Raises:
        StudyError: the file is missing or holds something else.
    """
    if not isinstance(given, str | Path):
        return given
    try:
        return Sensitivity.load(given)
    except DefinitionError as problem:
        raise StudyError(f"sensitivity: {problem.message}", _WRITTEN) from None

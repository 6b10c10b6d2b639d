"""Sensitivity of groups as a sweep: every group alone, to a list of ratios, all others dense."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prunesearch.errors import PolicyError, UsageError
from prunesearch.fitting import granularities_of
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo, TaskInfo
from prunesearch.sensitivity import GroupCurve, Sensitivity
from prunesearch.sweeps.base import Candidate, Point, Sweep

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Ratios that are tried where nothing is said."""


@dataclass(frozen=True)
class Probe:
    """How groups are probed.

    Args:
        ratios: fractions removed from a group, ascending, above 0 and below 1.
        granularities: what is removed; empty: everything that the network has.
        criterion: by which elements are ranked.
        retrain: epochs trained after the cut. From scratch they are the last of the N epochs, so that every network is
            trained as long as the dense one; given weights are cut first and trained that long.
    """

    ratios: tuple[float, ...] = RATIOS
    granularities: tuple[str, ...] = ()
    criterion: str = "l1"
    retrain: int = 0

    def groups(self, info: TaskInfo, task: str = "") -> tuple[GroupInfo, ...]:
        """The groups that are probed: those of single weights, then those of units, in the order of the network.

        Args:
            info: what the task is.
            task: its reference, for what is told; empty where it has none.

        Raises:
            PolicyError: the network has nothing of a granularity, or nothing that can be pruned.
        """
        known = granularities_of(info, task)
        missing = [g for g in self.granularities if g not in known]
        if missing:
            raise PolicyError(f"granularity: '{missing[0]}' is nothing that {info.name} has", f"it has {', '.join(known)}")
        chosen = {g for granularity in self.granularities or known for g in info.prunable(granularity)}
        return tuple(sorted((g for g in info.groups if g in chosen), key=lambda g: g.kind != "weight"))

    def candidates(self, info: TaskInfo, task: str = "") -> tuple[Candidate, ...]:
        """One point per group and ratio, by group in the order of `groups`, which has the same arguments, then by ratio.

        Raises:
            PolicyError: the network has no such granularity, or the criterion does not go with it.
            UsageError: more epochs after the cut than there are.
        """
        return tuple(
            Candidate(f"{group.kind} {group.name}", ratio, self.policy(group, ratio, info))
            for group in self.groups(info, task)
            for ratio in self.ratios
        )

    def policy(self, group: GroupInfo, ratio: float, info: TaskInfo) -> Policy:
        """The policy that prunes one group alone, once.

        Raises:
            PolicyError: the criterion does not go with the group.
            UsageError: more epochs after the cut than there are.
        """
        epochs = self.retrain if info.weights_given else info.epochs
        if self.retrain > epochs:
            raise UsageError(f"--retrain {self.retrain} is more than the {epochs} epochs", "train longer with --epochs")
        fields = {"granularity": group.kind, "criterion": self.criterion, "scope": "ratios", "ratio": {group.name: ratio}}
        once = {"schedule_type": "magnitude_percentage", "function": "one_shot_static"}
        return Policy.parse({**once, **fields, "epochs": epochs, "epoch_threshold": epochs - self.retrain}, "sensitivity")

    def outcome(self, sweep: Sweep, seed: int) -> Sensitivity:
        """What a sweep over `candidates` found.

        Args:
            sweep: its points in the order of the candidates, by seed.
            seed: of the split.
        """
        groups, per_group = self.groups(sweep.info), len(self.ratios) * len(sweep.seeds)
        dense = {s: r.measures for s, r in sweep.dense.items() if r.measures is not None}
        parts = [sweep.points[i : i + per_group] for i in range(0, len(sweep.points), per_group)]
        return Sensitivity(
            task=sweep.task,
            digest=sweep.info.digest,
            seed=seed,
            seeds=sweep.seeds,
            epochs=sweep.epochs,
            retrain=self.retrain,
            criterion=self.criterion,
            metric=sweep.info.metric,
            direction=sweep.info.direction,
            dense=statistics.fmean(m.accuracy for m in dense.values()),
            params=sweep.info.params,
            ratios=self.ratios,
            groups=tuple(self._curve(g, points, sweep) for g, points in zip(groups, parts, strict=True)),
        )

    def _curve(self, group: GroupInfo, points: Sequence[Point], sweep: Sweep) -> GroupCurve:
        seeds = len(sweep.seeds)
        levels = [points[i : i + seeds] for i in range(0, len(points), seeds)]
        lost = [[_drop(point, sweep) for point in level] for level in levels]
        left = [[p.result.measures.params if p.result.measures else None for p in level] for level in levels]
        return GroupCurve(
            group=group.name,
            kind=group.kind,
            size=group.size,
            drops=tuple(None if None in level else statistics.fmean(_known(level)) for level in lost),
            deviations=tuple(None if None in level else statistics.stdev(_known(level)) for level in lost) if seeds > 1 else (),
            params=tuple(None if None in level else round(statistics.fmean(_known(level))) for level in left),
        )


def _drop(point: Point, sweep: Sweep) -> float | None:
    """What a point loses of the metric on the validation split against the dense network of its seed."""
    dense, pruned = sweep.dense[point.seed].measures, point.result.measures
    if dense is None or pruned is None:
        return None
    lost = dense.accuracy - pruned.accuracy
    return lost if sweep.info.direction == "maximize" else -lost


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]

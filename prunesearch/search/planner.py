"""The planner: what an engine is asked for a trial, and what trials share.

Trials share latencies: networks of equal shapes are measured once, and ratios that noise cannot tell apart are one.
This is the one place that knows what trials have in common, so sharing more of their training starts here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from prunesearch.measure.ratios import DENSE as SAME
from prunesearch.measure.ratios import Ratio, merge_ratio
from prunesearch.policy import Policy
from prunesearch.results import DENSE, DenseReference, Job, LatencySpec, Measures, Result


@dataclass(frozen=True)
class Latencies:
    """What is known of latency ratios.

    Args:
        shapes: shape signature -> the ratio that stands for it.
        levels: ratios that stand for themselves, in the order in which they were measured.
    """

    shapes: Mapping[str, Ratio] = field(default_factory=dict)
    levels: tuple[Ratio, ...] = (SAME,)

    @classmethod
    def of(cls, dense: DenseReference) -> Latencies:
        """What is known before the first trial: the dense network's ratio is 1."""
        return cls({dense.signature: SAME})

    def learn(self, signature: str, measures: Measures | None) -> Latencies:
        """With one more measurement; equal shapes and equal ratios change nothing."""
        ratio = None if measures is None else measures.latency_ratio
        if measures is None or ratio is None or not isfinite(ratio) or not signature or signature in self.shapes:
            return self
        found = merge_ratio(ratio, measures.latency_ratio_iqr or 0.0, self.levels)
        levels = self.levels if found in self.levels else (*self.levels, found)
        return Latencies({**self.shapes, signature: found}, levels)


@dataclass(frozen=True)
class Planner:
    """Makes jobs.

    Args:
        seed: of all trials of the study.
        latency: how it is measured.
        dense: the dense reference.
        folder: where pruned networks go, one folder per trial, or None.
    """

    seed: int
    latency: LatencySpec
    dense: DenseReference
    folder: Path | None = None

    def job(self, number: int, policy: Policy, latencies: Latencies) -> Job:
        """The job of a trial."""
        return Job(
            number=number,
            policy=policy,
            epochs=policy.epochs,
            seed=self.seed,
            latency=self.latency,
            dense=self.dense,
            known_latency=dict(latencies.shapes),
            keep_to=None if self.folder is None else str(trial_folder(self.folder, number)),
        )

    def settle(self, result: Result, latencies: Latencies) -> tuple[Result, Latencies]:
        """The result with the latency that its ratio stands for, and what was learnt from it.

        The ratio itself stays as measured; `latency_ms` is the ratio that stands for it, times the dense latency.
        """
        learnt = latencies.learn(result.signature, result.measures)
        dense_ms, found = self.dense.measures.latency_ms, learnt.shapes.get(result.signature)
        if result.measures is None or result.measures.latency_ratio is None or found is None or dense_ms is None:
            return result, learnt
        return replace(result, measures=replace(result.measures, latency_ms=found[0] * dense_ms)), learnt


def dense_job(epochs: int, seed: int, latency: LatencySpec) -> Job:
    """The job of the dense reference."""
    return Job(number=DENSE, policy=None, epochs=epochs, seed=seed, latency=latency)


def ahead_jobs(policies: Sequence[Policy], slots: int, seed: int) -> tuple[Job, ...]:
    """Jobs that train policies' epochs before their trials are asked for; their numbers lie below the dense one's.

    Every slot that the dense reference leaves idle gets two, for pruned networks may be done sooner than it. The policy
    between the two rounds is left to the slot that trains the dense network: its trial is the first that is not there yet.

    Args:
        policies: of the first trials, in their order.
        slots: of the engine.
        seed: of the trials.
    """
    idle = slots - 1
    rounds = (*policies[:idle], *policies[slots : slots + idle])
    return tuple(Job(DENSE - 1 - i, p, p.epochs, seed, test=False, ahead=True) for i, p in enumerate(rounds))


def shared_epochs(policy: Policy) -> int:
    """Dense epochs before a policy's first cut; a gradual ramp is still at zero in the epoch that it starts from."""
    return policy.epoch_threshold + (policy.function == "gradual")


def trial_folder(folder: Path, number: int) -> Path:
    """Where the pruned network of a trial is kept."""
    return folder / f"trial-{number:05d}"

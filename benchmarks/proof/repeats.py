"""Chosen policies again with fresh seeds, as `prunesearch run POLICY --task TASK --seed 1 --seeds 3` does, two at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.proof.searches import Where, commit
from benchmarks.record import Record, Run
from prunesearch.engines import EngineSpec
from prunesearch.policy import Policy
from prunesearch.results import LatencySpec, Result
from prunesearch.sweeps import Candidate, DenseMeasured, News, PointMeasured, run_sweep

SEEDS = (1, 2, 3)
"""Seeds of repetitions; searches use seed 0, so none of these has chosen anything."""
DENSE = "dense"


def repeat(record: Record, task: str, policies: Mapping[str, Policy], where: Where, latency: LatencySpec | None = None) -> None:
    """Run every policy with every seed beside the dense network, each once; what is on record is not run again.

    Args:
        record: gets one run per label and seed: kind "repeat", task, label, seed.
        task: a built-in task's name.
        policies: by label; all for the same number of epochs.
        where: store and data.
        latency: how latency is measured; None: not at all.
    """
    (epochs,) = {policy.epochs for policy in policies.values()}
    missing = {seed: _missing(record, task, policies, seed) for seed in SEEDS}
    for wanted in dict.fromkeys(tuple(m) for m in missing.values() if m):
        seeds = [seed for seed, m in missing.items() if tuple(m) == wanted]
        _run(record, task, {label: policies[label] for label in wanted if label != DENSE}, (epochs, seeds), where, latency)


def _missing(record: Record, task: str, policies: Mapping[str, Policy], seed: int) -> list[str]:
    epochs = next(iter(policies.values())).epochs
    digests = {DENSE: f"{DENSE}-{epochs}"} | {label: policy.digest for label, policy in policies.items()}
    return [n for n, d in digests.items() if not record.find(kind="repeat", task=task, label=n, digest=d, seed=seed)]


def _run(
    record: Record,
    task: str,
    policies: Mapping[str, Policy],
    plan: tuple[int, Sequence[int]],
    where: Where,
    latency: LatencySpec | None,
) -> None:
    epochs, seeds = plan
    stages = where.home / "stages"
    spec = EngineSpec(task, epochs, SEEDS[0], "cpu", 2, where.data_dir, stages=str(stages))
    label_of = {policy.digest: [n for n, p in policies.items() if p.digest == policy.digest] for policy in policies.values()}

    def keep(news: News) -> None:
        if isinstance(news, DenseMeasured):
            _add(record, task, DENSE, f"{DENSE}-{epochs}", news.seed, news.result)
        if isinstance(news, PointMeasured) and news.point.policy:
            for label in label_of[news.point.policy.digest]:
                _add(record, task, label, news.point.policy.digest, news.point.seed, news.point.result, news.point.policy)

    candidates = [Candidate(label, 0.0, policy) for label, policy in policies.items()] or [Candidate(DENSE, 0.0, None)]
    run_sweep(spec, candidates, seeds, latency=latency, listener=keep)


def _add(record: Record, task: str, label: str, digest: str, seed: int, result: Result, policy: Policy | None = None) -> None:
    key = {"kind": "repeat", "task": task, "label": label, "digest": digest, "seed": seed}
    measures: dict[str, Any] = result.measures.to_dict() if result.measures else {}
    figures = {"state": result.state, "reason": result.reason, "commit": commit(), **measures}
    figures |= {"policy": policy.to_dict() if policy else None}
    figures |= {"left": {layer.name: [layer.kept, layer.total] for layer in result.layers}}
    print(f"{task} {label} seed {seed}: test {measures.get('test_accuracy')}, {measures.get('params')} parameters", flush=True)
    record.add(key, figures)


def repeats_of(runs: Sequence[Run], task: str, label: str) -> list[Run]:
    """The repetitions of one policy that ended with a network, by seed."""
    found = [r for r in runs if (r["kind"], r.get("task"), r.get("label")) == ("repeat", task, label)]
    return sorted((r for r in found if "test_accuracy" in r), key=lambda r: int(r["seed"]))

"""Trying whether a task with a loader, loop, evaluation or optimiser of its own may share epochs. Imports torch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from prunesearch.drafts import remove_abandoned
from prunesearch.engines import Engine, EngineSpec, open_engine
from prunesearch.errors import EnvironmentFailure
from prunesearch.policy import Policy
from prunesearch.results import Job, TaskInfo
from prunesearch.training.files import Tensors
from prunesearch.training.forks import Verdict, keep_verdict, verdict_on

EPOCHS = 2
"""The first is shared, the second is where a fork would differ."""

_APART = "fork-"  # how the folders begin in which it is tried


def try_fork(spec: EngineSpec, info: TaskInfo, *, engine: str = "process") -> Verdict:
    """Whether epochs of the task can be shared; what is found is written down for searches, and read where it stands.

    One process trains two epochs. Another, which has seen none of that, goes on from the first epoch's snapshot, and then
    trains the first again: whatever the task's own code remembers is now different. Both epochs must be equal in all bits:
    parameters, buffers, the optimiser's moments, loss and metric.

    Args:
        spec: how the search would run it; `stages` names the folder in which verdicts are kept.
        info: what the task is.
        engine: `serial` starts no processes, and sees less: modules that the task imports keep what they remember.

    Raises:
        EnvironmentFailure: memory, disk or a device gives out, workers die, or nothing can be written; there is no verdict.
    """
    assert spec.stages is not None
    folder = Path(spec.stages)
    found = verdict_on(folder, info)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder, f"{_APART}*")
        with tempfile.TemporaryDirectory(dir=folder, prefix=_APART) as apart:
            found = _tried(replace(spec, stages=apart, workers=1), info, engine)
        keep_verdict(folder, info, found)
    except OSError as problem:
        raise EnvironmentFailure(f"{folder}: {problem.strerror or problem}", "PRUNESEARCH_HOME names another folder") from problem
    return found


def _tried(spec: EngineSpec, info: TaskInfo, kind: str) -> Verdict:
    folder = Path(str(spec.stages))
    keep_verdict(folder, info, Verdict(equal=True))  # so that the engine shares here
    job = Job(0, _dense_until_the_end(info), EPOCHS, spec.seed, test=False)
    with open_engine(kind, spec) as engine:
        if engine.describe().digest != info.digest:
            return Verdict(False, "its data or code is another one in every process")
        if problem := _failed(engine, job):
            return Verdict(False, f"training failed: {problem}")
    original = _snapshots(folder)
    if len(original) != EPOCHS:
        return Verdict(False, "the state of its optimiser cannot be kept")
    with open_engine(kind, spec) as engine:
        for epoch in (1, 0):  # a process that has trained nothing goes on; then it begins
            for path in original[epoch].files:
                path.unlink()
            if problem := _failed(engine, job):
                return Verdict(False, f"going on from a snapshot failed: {problem}")
            if difference := _difference(original[epoch], _snapshots(folder).get(epoch)):
                return Verdict(False, f"a fork differs from the original after epoch {epoch}: {difference}")
    return Verdict(True)


def _dense_until_the_end(info: TaskInfo) -> Policy | None:
    """A policy that trains all epochs dense: for given weights, whose dense reference is not trained at all."""
    if not info.weights_given:
        return None
    return Policy.parse(
        {
            "epochs": EPOCHS,
            "schedule_type": "magnitude_percentage",
            "function": "one_shot_static",
            "granularity": info.granularities[0],
            "threshold": 0.1,
            "epoch_threshold": EPOCHS,
        }
    )


def _failed(engine: Engine, job: Job) -> str:
    """Why a job failed, "" where it did not.

    Raises:
        EnvironmentFailure: for want of something outside of it, which says nothing of the task.
    """
    engine.submit(job)
    outcome = engine.next()
    result = outcome.result if outcome else None
    if result is not None and not result.outside:
        return result.reason or "" if result.state == "failed" else ""
    reason = result.reason if result else outcome.lost if outcome else None
    raise EnvironmentFailure(
        f"whether epochs can be shared was not found out: {reason or 'no answer'}", "'prunesearch check' tries it again"
    )


@dataclass(frozen=True)
class _Snapshot:
    row: Mapping[str, Any]
    tensors: Tensors
    files: tuple[Path, Path]


def _snapshots(folder: Path) -> dict[int, _Snapshot]:
    """What is kept in a folder of stages, by epoch."""
    found = {}
    for facts in folder.glob("??/*.json"):
        row = json.loads(facts.read_text(encoding="utf-8"))["row"]
        tensors = facts.with_suffix(".safetensors")
        if tensors.exists():
            found[int(row["epoch"])] = _Snapshot(row, load(tensors.read_bytes()), (facts, tensors))
    return found


def _difference(one: _Snapshot, other: _Snapshot | None) -> str:
    """What differs, in one line; "" where nothing does."""
    if other is None or one.tensors.keys() != other.tensors.keys():
        return "other tensors are kept"
    for name in ("loss", "accuracy"):
        if one.row[name] != other.row[name]:
            return f"{name} {other.row[name]:.9g} instead of {one.row[name]:.9g}"
    unequal = [name for name, tensor in one.tensors.items() if not torch.equal(_bytes(tensor), _bytes(other.tensors[name]))]
    return f"{len(unequal)} of {len(one.tensors)} tensors, {unequal[0]} first" if unequal else ""


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)

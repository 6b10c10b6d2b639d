"""Whether tasks with code of their own in training may share epochs: `prunesearch check` tries it and says so here.

A fork is a network that goes on from another's snapshot. What a user's own loader, loop, evaluation or optimiser keeps between
epochs (a generator, a counter) is in no snapshot, so such tasks share only after a fork of theirs was equal to the original in
all bits. The verdict holds for one digest of the task, one version of torch, of our numeric code, and one kind of device.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import uuid4

import torch

from prunesearch.results import TaskInfo
from prunesearch.tasks.contents import add_tensor
from prunesearch.training.data import Batches, Resident
from prunesearch.training.files import write_whole
from prunesearch.training.prepare import Prepared
from prunesearch.training.stage_key import NUMERIC_CODE

SAMPLED = 4
"""Batches of each split that stand for a loader's data in the names of stages."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What trying a fork has shown.

    Args:
        equal: whether all bits were equal.
        reason: what differed, "" where nothing did.
    """

    equal: bool
    reason: str = ""


def verdict_on(stages: Path, info: TaskInfo) -> Verdict | None:
    """What was found out about a task, or None where nobody has tried it here.

    Args:
        stages: folder of the stages.
        info: of the task; its digest and device count.
    """
    try:
        found = json.loads(_path(stages, info).read_text(encoding="utf-8"))
        return Verdict(bool(found["equal"]), str(found["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_verdict(stages: Path, info: TaskInfo, found: Verdict) -> None:
    """Write a verdict down for later searches.

    Raises:
        OSError: it cannot be written.
    """
    said = json.dumps({"task": info.name, "equal": found.equal, "reason": found.reason}).encode()
    write_whole(_path(stages, info), lambda draft: draft.write_bytes(said))


def with_sharing(prepared: Prepared, ref: str, seed: int, stages: Path) -> Prepared:
    """The task as one that shares epochs, where that was shown to be right; else as it is, with a warning.

    Args:
        prepared: whose `info.shares` says whether sharing needs no proof.
        ref: how the task is called; "" where no command could name it.
        seed: of the study.
        stages: folder of the stages.
    """
    info = prepared.info
    if info.shares:
        if not prepared.known:
            log.warning(
                "epochs are shared in this search only: functions of the task hold what cannot be read; version= may stand for it"
            )
        return prepared
    found = verdict_on(stages, info)
    if found is not None and found.equal:
        return replace(prepared, info=replace(info, shares=True))
    own = "epochs are not shared between trials: the task brings its own loader, loop, evaluation or optimiser"
    if found is not None:
        log.warning("%s, and %s", own, found.reason)
    elif ref:
        more = f" --seed {seed}" if seed else ""
        log.warning("%s; to find out whether they can be: prunesearch check --task %s%s", own, ref, more)
    else:
        log.warning(own)
    return prepared


def sample_of(prepared: Prepared) -> str:
    """What a task's digest does not know, for the names of stages; "" where it knows all.

    Of loaders it is a hash of the first batches, of functions that hold what cannot be read a word that nobody else has.
    """
    splits = [s for s in (prepared.splits.train, prepared.splits.val) if not isinstance(s, Resident)]
    if not splits and prepared.known:
        return ""
    hashed = hashlib.sha256(b"" if prepared.known else uuid4().bytes)
    for split in splits:
        _add(hashed, split)
    return hashed.hexdigest()


def _add(hashed: hashlib._Hash, split: Batches) -> None:
    for pair in islice(split.shuffled(0, 0), SAMPLED):
        for tensor in pair:
            add_tensor(hashed, tensor)


def _path(stages: Path, info: TaskInfo) -> Path:
    said = json.dumps([info.digest, torch.__version__, info.device_model, NUMERIC_CODE])
    return stages / "forks" / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.json"

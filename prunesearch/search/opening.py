"""Opening a study: a new one is stored with everything resolved; an old one goes on only as it was defined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prunesearch.errors import StudyError, bulleted
from prunesearch.measure.processor import processor
from prunesearch.results import TaskInfo
from prunesearch.search.environment import code_version, environment
from prunesearch.search.memory import GRACE_SECONDS
from prunesearch.search.space import Located, SearchSpace
from prunesearch.search.start import start_policies
from prunesearch.spec import StudySpec
from prunesearch.store import Store, StudyRecord, Ticket

MAY_CHANGE = ("trials", "timeout", "workers", "workers_per_gpu", "engine", "start")
"""What a resumed study may say otherwise than before."""


@dataclass(frozen=True)
class Opened:
    """An open study.

    Args:
        record: as it is stored.
        spec: the resolved definition.
        space: what is searched.
        starts: policies that are tried first.
        resumed: whether it was in the store before.
        quiet: whether nothing had been written for it for longer than a heartbeat may be missing.
        notes: what is to be told.
    """

    record: StudyRecord
    spec: StudySpec
    space: SearchSpace
    starts: tuple[Located, ...]
    resumed: bool
    quiet: bool
    notes: tuple[str, ...] = ()

    @property
    def info(self) -> TaskInfo:
        """What the task is."""
        return self.space.ranges.info


def find(store: Store, name: str) -> StudyRecord | None:
    """A stored study, or None."""
    return next((record for record in store.studies() if record.name == name), None)


def total_of(spec: StudySpec, record: StudyRecord | None, more: int | None, tickets: Sequence[Ticket]) -> int:
    """The trials that the study shall have: as the definition says, or `more` than it had; all that are begun are among them."""
    begun = max((t.number + 1 for t in tickets if t.state != "open"), default=0)
    if more is None:
        return max(spec.trials, begun)
    return more + max(spec.trials if record is None else int(record.spec["trials"]), begun)


def resolved(spec: StudySpec, total: int, record: StudyRecord | None, info: TaskInfo) -> StudySpec:
    """The definition with nothing left open; what a stored one has decided stays decided.

    Raises:
        StudyError: it differs from the stored one in more than may change.
    """
    old = None if record is None else StudySpec.parse(record.spec, f"study '{spec.name}'")
    epochs = spec.epochs if spec.epochs is not None else info.epochs if old is None else old.epochs
    tie = spec.tie_ratios if spec.tie_ratios is not None or old is None else old.tie_ratios
    changed = spec.model_copy(update={"epochs": epochs, "trials": total, "tie_ratios": tie})
    if old is not None:
        refuse_changes(old, changed)
        return changed
    return changed.model_copy(update={"tie_ratios": SearchSpace.of(changed, info).wanted.tie})


def open_study(store: Store, spec: StudySpec, record: StudyRecord | None, total: int, info: TaskInfo) -> Opened:
    """Create the study, or go on with it.

    Args:
        store: open for writing.
        spec: the definition.
        record: the study as it is stored, None where it was not when last looked for.
        total: trials that it shall have.
        info: the task, as an engine tells it.

    Raises:
        StudyError: its definition, its task or the kind of device whose latencies it compares is not what it was, its space
            allows nothing, or a start policy is not valid; nothing is written then. A study whose dense network could not
            be trained holds nothing, and may be defined anew.
    """
    settled = record is not None and record.info is not None
    full = resolved(spec, total, record if settled else None, info)
    space = SearchSpace.of(full, info)
    starts = start_policies(full, space)
    if record is None:
        try:
            created = store.create_study(full.name, full.to_dict(), info, code_version(), environment())
        except StudyError:  # another driver was quicker: this one joins it
            return open_study(store, spec, store.study(spec.name), total, info)
        return Opened(created, full, space, starts, resumed=False, quiet=True)
    if record.info is not None and record.info.digest != info.digest:
        raise StudyError(
            f"study '{spec.name}' was made for another task: data, network or recipe of '{info.name}' have changed since",
            "give the new one another name: --as NEW",
        )
    quiet, notes = _age(record.active_at) > GRACE_SECONDS, _held_to_its_machine(record, full, info)
    if record.info is None:
        store.set_info(full.name, info)
    if full.to_dict() != dict(record.spec):
        store.set_spec(full.name, full.to_dict())
    return Opened(record, full, space, starts, resumed=True, quiet=quiet, notes=notes)


def _held_to_its_machine(record: StudyRecord, spec: StudySpec, info: TaskInfo) -> tuple[str, ...]:
    """Keep latencies of different devices apart: those of another processor are told, those of another kind of device refused.

    Raises:
        StudyError: trials would run, and be timed, on another kind of device.
    """
    if record.info is None or "latency_ms" not in (*spec.objectives, *spec.constraints) or spec.latency.device != "auto":
        return ()
    before, now = record.info.device_model, info.device_model
    if before != now:
        raise StudyError(
            f"study '{spec.name}' compares latencies that were measured on {before}; here they would be {now}'s",
            "give the device that it was begun on (--device), or the new study another name: --as NEW",
        )
    made_on, here = record.environment.get("processor"), processor()
    if now != "cpu" or made_on in (None, here):
        return ()
    return (f"the study's latencies are those of {made_on}, new ones are {here}'s: each in parts of the dense network's there",)


def refuse_changes(old: StudySpec, new: StudySpec) -> None:
    """Refuse a definition that differs from the stored one in more than may change.

    Raises:
        StudyError: with every difference.
    """
    before, now = _compared(old), _compared(new)
    lines = [
        f"{key}: was {_told(before.get(key))}, is now {_told(now.get(key))}"
        for key in dict.fromkeys((*before, *now))
        if before.get(key) != now.get(key)
    ]
    if lines:
        raise StudyError(
            f"study '{new.name}' is in the store with another definition: {bulleted(lines)}",
            f"only {', '.join(MAY_CHANGE)} may change; give the new definition another name: --as NEW",
        )


def _compared(spec: StudySpec) -> dict[str, Any]:
    """What has to stay, flat: one entry per field of the space."""
    plain = {key: value for key, value in json.loads(json.dumps(spec.to_dict())).items() if key not in MAY_CHANGE}
    if spec.sensitivity:
        plain["sensitivity"] = spec.sensitivity.short
    for part in ("space", "constraints", "latency"):
        plain |= {f"{part}.{key}": value for key, value in _flat(plain.pop(part, {}))}
    return plain


def _flat(part: Mapping[str, Any]) -> list[tuple[str, Any]]:
    ratios = [(f"ratio.{key}", value) for key, value in part.get("ratio", {}).items()]
    return [(key, value) for key, value in part.items() if key != "ratio"] + ratios


def _told(value: Any) -> str:
    match value:
        case None:
            return "not given"
        case {"choices": [one]}:
            return str(one)
        case {"choices": words}:
            return ", ".join(map(str, words))
        case {"low": low, "high": high, **rest}:
            return f"[{low}, {high}]" + "".join(f" {k}={v}" for k, v in rest.items())
        case list():
            return ", ".join(map(str, value))
    return str(value)


def _age(when: str) -> float:
    """Seconds since a time in ISO 8601."""
    return (datetime.now(UTC) - datetime.fromisoformat(when).astimezone(UTC)).total_seconds()

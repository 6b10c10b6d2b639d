"""What a figure was measured on."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scenarios import ROOT
from prunesearch.engines.devices import usable_cores
from prunesearch.measure.processor import processor

_DATE = "%Y-%m-%d %H:%M UTC"
_PACKAGES = ("torch", "torchvision", "optuna")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, versions; the same for equal machines and installations."""
    return {
        "cpu": processor() or platform.machine(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def moment() -> dict[str, Any]:
    """When, and how busy the machine has been: the mean number of running processes over the last minute."""
    return {"date": datetime.now(UTC).strftime(_DATE), "load": round(os.getloadavg()[0], 2)}


def when(run: Mapping[str, Any]) -> datetime:
    """When a run ended, to the minute, as `moment` noted it."""
    return datetime.strptime(run["date"], _DATE).replace(tzinfo=UTC)


def in_words(about: dict[str, Any]) -> str:
    """One line for a page."""
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", *_PACKAGES))
    return f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}; {versions}"


def busy() -> str | None:
    """A warning where the machine is not quiet, or None."""
    load = os.getloadavg()[0]
    if load < 0.5 * usable_cores():
        return None
    return f"the machine is busy (load {load:.1f} on {usable_cores()} cores): what is measured now will be too slow"


def source_digest(*parts: str) -> str:
    """Hash of the Python and YAML files under paths of the checkout: what was measured, without asking git.

    Raises:
        ValueError: one of the paths is not there.
    """
    hashed = hashlib.sha256()
    for path in sorted(_files(parts)):
        hashed.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


def _files(parts: Iterable[str]) -> set[Path]:
    found = set()
    for part in parts:
        path = ROOT / part
        if not path.exists():
            raise ValueError(f"no such file: {part}")
        found |= {path} if path.is_file() else {p for p in path.rglob("*") if p.suffix in (".py", ".yaml")}
    return found

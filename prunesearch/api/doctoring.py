"""`doctor`: what is installed, what is reachable, and what to do where something is not."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from prunesearch.api.about import version
from prunesearch.api.arguments import documented
from prunesearch.api.settings import data_folder, store_url
from prunesearch.engines.devices import usable_cores
from prunesearch.errors import PrunesearchError, StoreError, mask_secrets

State = Literal["ok", "note", "problem"]
PACKAGES = ("torch", "torchvision", "optuna", "sqlalchemy", "torch-pruning", "optuna-dashboard")
"""What a search stands on."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""What PNG figures need one of."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: what it is.
        state: ok; note: something will not work or be slower; problem: nothing will work.
        found: what was found.
        advice: what to do about it, empty where it is ok.
    """

    what: str
    state: State
    found: str
    advice: str = ""


@documented
def doctor(*, device: str = "auto", store: str | None = None, data_dir: str | None = None) -> list[Finding]:
    """Look at versions, device, threads, store, data and browser, and say what to do about what is missing."""
    return [
        Finding("prunesearch", "ok", f"{version()}, Python {platform.python_version()}, {platform.platform(terse=True)}"),
        *map(_package, PACKAGES),
        _device(device),
        _cores(),
        *_threads(),
        _store(store_url(store)),
        _data(data_folder(data_dir)),
        _figures(),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", installed(name))
    except PackageNotFoundError:
        return Finding(name, "problem", "not installed", f"pip install {name}")


def _device(wanted: str) -> Finding:
    if find_spec("torch") is None:
        return Finding("device", "problem", "unknown without torch", "pip install torch")
    from prunesearch.training.prepare import device_name, find_device

    try:
        found = device_name(find_device(wanted))
    except PrunesearchError as error:
        return Finding("device", "problem", error.message, error.hint or "")
    return Finding("device", "ok", found)


def _cores() -> Finding:
    cores, there = usable_cores(), os.cpu_count() or 1
    told = f"{cores} of {there} usable: {cores} {'worker' if cores == 1 else 'workers'} by default on the CPU"
    return Finding("cores", "ok", told)


def _threads() -> list[Finding]:
    """Workers have one thread each whatever these say; the parent process obeys them."""
    return [Finding(name, "ok", f"{os.environ[name]} (workers use 1 thread each)") for name in THREADS if name in os.environ]


def _store(url: str) -> Finding:
    from prunesearch.store import Store

    shown = mask_secrets(url)
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists() and path.parent.is_dir():
        writable = os.access(path.parent, os.W_OK)
        advice = "" if writable else "make the folder writable, or give another --store"
        return Finding("store", "ok" if writable else "problem", f"{shown}: not there yet, the first search makes it", advice)
    try:
        with Store.open(url) as opened:
            return Finding("store", "ok", f"{shown}: {len(opened.studies())} studies")
    except StoreError as error:
        return Finding("store", "problem", error.message, error.hint or "")


def _data(given: str | None) -> Finding:
    folder = Path(given or "data")
    if not folder.is_dir():
        told = f"no folder '{folder}'; digits, iris, moons and circles need none"
        return Finding("data", "note", told, "--data-dir or PRUNESEARCH_DATA names the folder of MNIST and the like")
    sets = sorted(p.name for p in folder.iterdir() if p.is_dir())
    return Finding("data", "ok", f"{folder}: {', '.join(sets) or 'empty'}")


def _figures() -> Finding:
    browser = next((b for b in BROWSERS if shutil.which(b)), None)
    if browser and find_spec("kaleido"):
        return Finding("png figures", "ok", f"kaleido with {browser}")
    missing = "no Chromium" if find_spec("kaleido") else "kaleido is not installed"
    return Finding("png figures", "note", missing, "pip install kaleido and a Chromium; .html figures need neither")

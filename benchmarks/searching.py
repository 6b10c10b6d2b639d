"""prunesearch as its users run it: `prunesearch search FILE` in a process of its own, timed from outside.

Every search gets a store and a PRUNESEARCH_HOME that nobody has used, so that no epoch was trained before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scenarios import ROOT, Scenario
from prunesearch import yamlfile
from prunesearch.policy import Policy
from prunesearch.results import DenseReference
from prunesearch.store import Store, TrialRecord
from prunesearch.store.optuna_storage import close_storage, optuna_storage

STUDY = "bench"
_LOOK = 0.5
"""Seconds between two looks at the memory of all processes."""


@dataclass(frozen=True)
class How:
    """How a search is run.

    Args:
        workers: trials at a time.
        shared: whether epochs are shared between trials.
        trials: in place of as many as there are policies to start from.
        timeout: seconds after which no trial is started.
        seed: of sampler and training.
        watch_memory: look at the memory of all processes twice a second.
        objectives: of the study.
        numerics: exact or fast.
        device: cpu, cuda:0, ...
        workers_per_gpu: where `workers` is 0; 0: as many as a short measurement finds best.
        data_dir: torchvision root.
    """

    workers: int = 2
    shared: bool = True
    trials: int | None = None
    timeout: float | None = None
    seed: int = 0
    watch_memory: bool = False
    objectives: tuple[str, ...] = ("accuracy", "params")
    numerics: str = "exact"
    device: str = "cpu"
    workers_per_gpu: int = 1
    data_dir: str | None = None


@dataclass(frozen=True)
class Searched:
    """What a search was, read from outside and from its store.

    Args:
        wall: seconds from the start of the process to its end.
        began: when it was started, seconds since 1970.
        trials: as stored, with their epochs.
        dense: the dense reference.
        run: what the search noted of itself: seconds, overhead, and what they were spent on.
        peak: most bytes that all its processes held together; 0 where nobody looked.
        store_bytes: size of the database.
        stage_bytes: size of all snapshots.
        again: networks that a search in fast numerics trained again in exact.
    """

    wall: float
    began: float
    trials: tuple[TrialRecord, ...]
    dense: DenseReference
    run: dict[str, Any]
    peak: int = 0
    store_bytes: int = 0
    stage_bytes: int = 0
    again: int = 0

    @property
    def trained(self) -> int:
        """Epochs that were trained, the dense network's own included."""
        return sum(t.epochs_trained for t in self.trials) + sum(not row.shared for row in self.dense.epochs)

    @property
    def asked(self) -> int:
        """Epochs that would be trained without sharing, the dense network's own included."""
        return sum(len(t.epochs) for t in self.trials) + len(self.dense.epochs)

    @property
    def epoch_seconds(self) -> float:
        """Mean seconds of the epochs that were trained, measuring on the validation split included."""
        rows = [row for t in self.trials for row in t.epochs if not row.shared]
        seconds = [row.seconds for row in (*rows, *self.dense.epochs) if not row.shared]
        return sum(seconds) / max(1, len(seconds))

    @property
    def trials_seconds(self) -> float:
        """Seconds from the start of the process until the last trial's result was in the store."""
        ended = [datetime.fromisoformat(t.finished_at).timestamp() for t in self.trials if t.finished_at]
        return max(ended) - self.began

    def in_order(self, policies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """One row per policy of a list: what its trial measured, or that of an equal policy.

        Raises:
            RuntimeError: one of them has no result.
        """
        known = {t.digest: t for t in self.trials}
        rows = []
        for policy in policies:
            trial = known.get(Policy.parse(policy).digest)
            if trial is None or trial.measures is None:
                raise RuntimeError(f"prunesearch has no result for {policy}: {trial.reason if trial else 'it was not run'}")
            measures = trial.measures
            rows.append({"accuracy": measures.accuracy, "test_accuracy": measures.test_accuracy, "params": measures.params})
        return rows


def study_of(scenario: Scenario, policies: Sequence[dict[str, Any]], how: How) -> dict[str, Any]:
    """The study file of a search: the list as policies to start from, or an adaptive search."""
    study: dict[str, Any] = {
        "name": STUDY,
        "task": scenario.task,
        "epochs": scenario.epochs,
        "trials": how.trials or len(policies),
        "seed": how.seed,
        "device": how.device,
        "numerics": how.numerics,
        "objectives": list(how.objectives),
        "space": scenario.space(),
    }
    if policies:
        study["start"] = list(policies)
    return study | ({"timeout": how.timeout} if how.timeout else {})


def search(scenario: Scenario, policies: Sequence[dict[str, Any]], how: How) -> Searched:
    """Search in a process of its own.

    Raises:
        SystemExit: it failed; with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="prunesearch-bench-") as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yamlfile.dump(study_of(scenario, policies, how)), encoding="utf-8")
        began, wall, peak = timed(_command(folder, how), _environment(folder), watch=_LOOK if how.watch_memory else None)
        return _read(folder, began, wall, peak)


def _command(folder: Path, how: How) -> list[str]:
    command = [sys.executable, "-m", "prunesearch", "search", str(folder / "study.yaml"), "--store", _url(folder)]
    command += ["--workers", str(how.workers or "auto"), "--workers-per-gpu", str(how.workers_per_gpu or "auto")]
    command += ["--engine", "process", "--quiet", "--format", "json"]
    command += [] if how.shared else ["--stage-budget", "0"]
    return command + (["--data-dir", how.data_dir] if how.data_dir else [])


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PRUNESEARCH_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}


def timed(command: list[str], environment: dict[str, str], *, watch: float | None) -> tuple[float, float, int]:
    """When it began, the seconds that it took, and the most memory that its processes held.

    Args:
        command: what is run.
        environment: its environment.
        watch: seconds between two looks at the memory, each of which takes tens of milliseconds; None: nobody looks.
    """
    began, clock, peak = time.time(), time.perf_counter(), 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while watch is not None and process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(watch)
        _, told = process.communicate()
    wall = time.perf_counter() - clock
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    return began, wall, peak


def _held(pid: int) -> int:
    """Bytes that a process and its descendants hold, shared pages counted in shares."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def _read(folder: Path, began: float, wall: float, peak: int) -> Searched:
    with Store.open(_url(folder)) as opened:
        numbers = [t.number for t in opened.trials(STUDY, "complete", "infeasible", "failed", "stopped")]
        trials, dense = tuple(opened.trial(STUDY, n) for n in numbers), opened.study(STUDY).dense
        again = len(opened.exact(STUDY))
    if dense is None:
        raise RuntimeError("the search ended without a dense reference")
    store, stages = (sum(p.stat().st_size for p in folder.rglob(pattern)) for pattern in ("*.db*", "*.safetensors"))
    return Searched(wall, began, trials, dense, noted(_url(folder), STUDY)[-1], peak, store, stages, again)


def noted(url: str, study: str) -> list[dict[str, Any]]:
    """What every call of a search noted of itself: seconds, overhead, and what they were spent on."""
    storage = optuna_storage(url)
    try:
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(study))
    finally:
        close_storage(storage)
    runs: list[dict[str, Any]] = attributes["runs"]
    return runs


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"

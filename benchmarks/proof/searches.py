"""A ready study as its users run it: `prunesearch search NAME` in a process of its own, watched from outside.

The store stays in a working folder, so that a search which was stopped goes on; what the page needs goes into JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from benchmarks.searching import noted, timed
from prunesearch.store import Store, TrialRecord

FOLDER = ROOT / "benchmarks"
_LOOK = 5.0
"""Seconds between two looks at the memory of driver and workers."""


@dataclass(frozen=True)
class Where:
    """Where things lie while an experiment runs.

    Args:
        work: folder of the store and of trained epochs.
        data_dir: torchvision root.
    """

    work: Path
    data_dir: str | None = None

    @property
    def store(self) -> str:
        """The store's URL."""
        return f"sqlite:///{self.work.resolve() / 'prunesearch.db'}"

    @property
    def home(self) -> Path:
        """PRUNESEARCH_HOME: trained epochs are shared with later runs."""
        return self.work.resolve() / "home"


def search_study(study: str, record: Record, where: Where) -> Run:
    """Search a ready study to its end, once: later calls read what is on record.

    Raises:
        SystemExit: the search failed; with what it said.
    """
    if known := record.find(kind="search", study=study):
        return known
    where.work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prunesearch", "search", study, "--store", where.store, "--engine", "process"]
    command += ["--quiet", "--format", "json", *(["--data-dir", where.data_dir] if where.data_dir else [])]
    environment = {**os.environ, "PRUNESEARCH_HOME": str(where.home), "PYTHONPATH": str(ROOT)}
    with _charged(where.work / f"{study}.cost.json") as cost:
        cost["peak"] = max(cost["peak"], timed(command, environment, watch=_LOOK)[2])
    wall = sum(run["seconds"] for run in noted(where.store, study))
    return record.add({"kind": "search", "study": study}, {"wall": wall, **cost, **_found(study, where.store)})


@contextmanager
def _charged(path: Path) -> Iterator[dict[str, float]]:
    """What a search has cost so far, processor seconds and bytes; kept, so that one that was stopped is charged as a whole."""
    cost: dict[str, float] = {"processor": 0.0, "peak": 0}
    if path.exists():
        cost |= json.loads(path.read_text(encoding="utf-8"))
    before = _processor_seconds()
    try:
        yield cost
    finally:
        cost["processor"] += _processor_seconds() - before
        path.write_text(json.dumps(cost), encoding="utf-8")


def _processor_seconds() -> float:
    """What all processes that this one has started and outlived have computed, workers of a search included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(study: str, url: str) -> dict[str, Any]:
    with Store.open(url) as store:
        kept = store.study(study)
        trials = [store.trial(study, t.number) for t in store.trials(study, "complete", "infeasible", "failed", "stopped")]
        members = [row.trial for row in store.front(study).rows]
    if kept.dense is None:
        raise RuntimeError(f"the search of '{study}' ended without a dense reference")
    return {
        "command": f"prunesearch search {study}",
        "commit": commit(),
        "workers": kept.spec["workers"],
        "epochs": len(kept.dense.epochs),
        "epochs_trained": sum(t.epochs_trained for t in trials) + sum(not e.shared for e in kept.dense.epochs),
        "dense": kept.dense.measures.to_dict(),
        "front": members,
        "trials": [_trial(t) for t in trials],
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "epochs_trained": trial.epochs_trained,
        "policy": trial.policy.to_dict(),
        "left": {layer.name: [layer.kept, layer.total] for layer in trial.layers},
        **(trial.measures.to_dict() if trial.measures else {}),
    }


def commit() -> str:
    """The commit that was measured, or `unknown` outside of a clone."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def stored(name: str) -> list[Run]:
    """The runs of `results/NAME.json` by the machine that made the last one, whichever that is; none without such a file."""
    path = FOLDER / "results" / f"{name}.json"
    if not path.exists():
        return []
    runs: list[Run] = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["machine"] == runs[-1]["machine"]]


def chosen(search: Run, budget: int, **fields: Any) -> dict[str, Any] | None:
    """The trial with the best validation accuracy among those that fit a budget of parameters, the smaller one on a tie.

    Args:
        search: what `search_study` gave.
        budget: most parameters.
        fields: what its policy must say.
    """
    fits = [t for t in search["trials"] if t["state"] == "complete" and t["params"] <= budget]
    fits = [t for t in fits if all(t["policy"].get(k) == v for k, v in fields.items())]
    return max(fits, key=lambda t: (t["accuracy"], -t["params"]), default=None)


def asked_where(about: str | None) -> Where:
    """What the command line says of where to work, for a proof that takes nothing else."""
    return place(argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter))[0]


def place(parser: argparse.ArgumentParser) -> tuple[Where, argparse.Namespace]:
    """Let a parser take where to work as well, and read the command line."""
    parser.add_argument("--work", type=Path, default=Path("proof"), help="folder of the store and of trained epochs (proof)")
    parser.add_argument("--data-dir", default=os.environ.get("PRUNESEARCH_DATA"), help="folder of MNIST and Fashion-MNIST")
    given = parser.parse_args()
    return Where(given.work, given.data_dir), given

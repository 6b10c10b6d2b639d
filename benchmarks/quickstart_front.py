"""Is the quickstart's front any good? Three seeds, each against a sweep that a person would write by hand.

    python benchmarks/quickstart_front.py [--seeds 0 1 2]

For every seed: `prunesearch search quickstart` in a store of its own, then five uniform l1 one-shot policies with
`prunesearch run`. Printed: wall seconds, policies on the front within five points of dense and the factor that their
parameter counts span, the smallest policy within two points of dense as a share of the dense parameters, and how many of
the five points of the sweep the front dominates or equals in accuracy and parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prunesearch.spec import StudySpec

SWEEP = (0.3, 0.5, 0.7, 0.9, 0.95)
"""Uniform fractions of the hand-written sweep: l1, weights, every layer alike, one shot at half of the epochs."""


def prunesearch(home: Path, *args: str) -> Any:
    """The JSON that a command prints; stages of earlier searches are out of its reach."""
    env = {**os.environ, "PRUNESEARCH_HOME": str(home)}
    command = [sys.executable, "-m", "prunesearch", *args, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"prunesearch {' '.join(args)} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def sweep(folder: Path, task: str, epochs: int, seed: int) -> list[dict[str, Any]]:
    """One row per fraction of the sweep."""
    rows = []
    for threshold in SWEEP:
        policy = folder / f"uniform-{threshold}.yaml"
        policy.write_text(f"epochs: {epochs}\nfunction: one_shot\nthreshold: {threshold}\nepoch_threshold: {epochs // 2}\n")
        told = prunesearch(folder, "run", str(policy), "--task", task, "--seed", str(seed))
        rows.append(told["rows"][0] if "rows" in told else told)
    return rows


def measure(seed: int, folder: Path) -> list[str]:
    """One line of the table."""
    began = time.perf_counter()
    store = ("--store", f"sqlite:///{folder}/s{seed}.db")
    found = prunesearch(folder / f"home{seed}", "search", "quickstart", "--seed", str(seed), *store, "--quiet")
    seconds = time.perf_counter() - began
    dense, front = found["dense"], found["front"]
    near = [r["params"] for r in front if r["accuracy"] >= dense["accuracy"] - 0.05]
    close = [r["params"] for r in front if r["accuracy"] >= dense["accuracy"] - 0.02]
    spec = StudySpec.find("quickstart")
    points = sweep(folder, spec.task, spec.epochs or 0, seed)
    met = sum(any(r["accuracy"] >= p["accuracy"] and r["params"] <= p["params"] for r in front) for p in points)
    span = max(near) / min(near) if near else 0.0
    smallest = min(close) / dense["params"] if close else 1.0
    return [str(seed), f"{seconds:.0f}", str(len(near)), f"{span:.1f}", f"{smallest:.3f}", f"{met} of {len(points)}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    print("| seed | seconds | policies within 5 points | span of parameters | smallest within 2 points / dense | sweep met |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seed in parser.parse_args().seeds:
            print("| " + " | ".join(measure(seed, Path(folder))) + " |", flush=True)


if __name__ == "__main__":
    main()

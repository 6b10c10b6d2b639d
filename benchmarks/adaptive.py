"""What counts in the end: searches of equal length, prunesearch against the expert's tuned script.

    python -m benchmarks adaptive --data-dir DIR [--minutes 2 5 10] [--seeds 0 1 2 3 4]

Both search the same space with TPE, two trials at a time, for validation accuracy and parameters; prunesearch begins with
known good policies, the script with random ones. A search runs for the longest time asked for; what it had found after the
shorter ones is read from when its trials ended. Time counts from the start of the process, imports and the dense reference
included. Two figures of what is on the front of validation accuracy and parameters, both computed from *test* accuracies:

hypervolume    of prunesearch's own kind: what is dominated, relative to the dense network's box; above dense it can exceed 1
zoomed         the same for what matters: at most 5 points below dense, on a logarithmic axis from dense to 1 %
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from moocore import hypervolume

from benchmarks.arguments import announce, asked, parser
from benchmarks.machine import source_digest
from benchmarks.race import OURS, PEERS
from benchmarks.record import Record, Run, counted
from benchmarks.remarks import versions
from benchmarks.scenarios import ROOT, SCENARIOS, Scenario
from benchmarks.searching import How, search
from prunesearch.errors import EnvironmentFailure
from prunesearch.front import MARGIN
from prunesearch.report.figures import write_figure
from prunesearch.schedules.markdown import table

NAME = "adaptive"
MINUTES = (2, 5, 10)
SEEDS = 5
"""How many are asked for."""
POINTS, SMALLEST = 0.05, 0.01
"""The box of `zoomed`: accuracy from dense - POINTS, parameters down to this share of dense."""
_ENDLESS = 100_000
_CURVE = 40  # points in time at which curves are drawn
_COLORS = {"prunesearch": "#3b6fd4", "expert": "#d9534f"}

ALIKE = (
    "Both search the same space with TPE and Optuna's own settings of it, each over parameters of its own making; prunesearch "
    "begins with known good policies, the expert's script, with fused Adam, with random ones."
)
"""How equal their searches are."""
COUNTED = (
    "The script counts all parameters that it has not masked, prunesearch those that are left after units that died were removed "
    "too, which are at most as many."
)
"""How equal their counts are."""

Found = Sequence[dict[str, Any]]
"""Rows with `finished` (seconds), `accuracy`, `test_accuracy`, `params`."""


def main() -> None:
    """Measure and publish."""
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, nargs="+", default=MINUTES)
    made.add_argument("--seeds", type=int, nargs="+", default=list(range(SEEDS)))
    args = made.parse_args()
    wanted = asked(NAME, args, ["lenet300"])
    minutes, seeds = ([0.2], [0]) if wanted.quick else (sorted(args.minutes), args.seeds)
    todo = [(s, c, seed) for s in wanted.scenarios for seed in seeds for c in SEARCHERS]
    left = [t for t in todo if wanted.record.find(**_key(*t, minutes[-1])) is None]
    announce(f"{len(left)} of {len(todo)} searches", len(left) * (60 * minutes[-1] + 10))
    for scenario, contestant, seed in left:
        figures = SEARCHERS[contestant](scenario, 60 * minutes[-1], seed, wanted.data_dir)
        wanted.record.add(_key(scenario, contestant, seed, minutes[-1]), figures)
        print(f"{scenario.name}, seed {seed}, {contestant}: {len(figures['rows'])} trials", flush=True)
    print(wanted.record.publish(report(wanted.record, minutes)))


def ours(scenario: Scenario, seconds: float, seed: int, data_dir: str | None) -> dict[str, Any]:
    """prunesearch; trials that end after the time do not count."""
    found = search(scenario, (), How(trials=_ENDLESS, timeout=seconds, seed=seed, data_dir=data_dir))
    rows = []
    for trial in found.trials:
        finished = datetime.fromisoformat(trial.finished_at or "").timestamp() - found.began
        if trial.measures is not None and trial.feasible and finished <= seconds:
            m = trial.measures
            rows.append({"finished": finished, "accuracy": m.accuracy, "test_accuracy": m.test_accuracy, "params": m.params})
    dense = {"test_accuracy": found.dense.measures.test_accuracy, "params": found.dense.measures.params}
    return {"rows": rows, "dense": dense, "trained": found.trained, "asked": found.asked}


def experts(scenario: Scenario, seconds: float, seed: int, data_dir: str | None) -> dict[str, Any]:
    """The expert's script."""
    with tempfile.TemporaryDirectory(prefix="prunesearch-bench-") as folder:
        to = Path(folder) / "rows.json"
        command = [
            sys.executable,
            "-m",
            "benchmarks.peers.expert",
            scenario.name,
            "--seconds",
            str(seconds),
            "--to",
            str(to),
            "--tuned",
        ]
        command += ["--seed", str(seed), *(["--data-dir", data_dir] if data_dir else [])]
        done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return {"rows": json.loads(to.read_text(encoding="utf-8"))}


SEARCHERS = {"prunesearch": ours, "expert": experts}
"""Who searches: `(scenario, seconds, seed, data_dir)` -> rows."""


def _key(scenario: Scenario, contestant: str, seed: int, minutes: float) -> dict[str, Any]:
    code = source_digest(*(OURS if contestant == "prunesearch" else PEERS))
    return {"scenario": scenario.name, "contestant": contestant, "seed": seed, "minutes": minutes, "code": code}


def volumes(rows: Found, seconds: float, dense: dict[str, Any]) -> tuple[float, float]:
    """`hypervolume` and `zoomed` of what had ended after so many seconds."""
    points = _front([r for r in rows if r["finished"] <= seconds])
    top, size = float(dense["test_accuracy"]), float(dense["params"])
    whole = [(a / top, (1 + MARGIN - p / size) / (1 + MARGIN)) for a, p in points]
    zoomed = [((a - top + POINTS) / POINTS, math.log(size / p) / math.log(1 / SMALLEST)) for a, p in points]
    return _volume(whole), _volume(zoomed)


def _front(rows: Found) -> list[tuple[float, float]]:
    """(test accuracy, parameters) of the rows that nothing dominates in validation accuracy and parameters."""
    ordered = sorted(rows, key=lambda r: (r["params"], -r["accuracy"]))
    best, kept = -math.inf, []
    for row in ordered:
        if row["accuracy"] > best:
            best = row["accuracy"]
            kept.append((float(row["test_accuracy"]), float(row["params"])))
    return kept


def _volume(gains: Sequence[tuple[float, float]]) -> float:
    inside = [gain for gain in gains if min(gain) > 0]
    return float(hypervolume(inside, ref=[0.0, 0.0], maximise=True)) if inside else 0.0


def report(record: Record, minutes: Sequence[float]) -> str:
    """A table and a figure per scenario on record."""
    parts = []
    for scenario in SCENARIOS.values():
        runs = searched(record.runs, scenario.name, minutes[-1])
        if runs:
            seeds = counted(len({r["seed"] for r in runs}), "seed", "seeds, means and spans")
            about = f"{scenario.about}; {scenario.epochs} epochs; {seeds}. {ALIKE} {COUNTED} {boxed(runs)}"
            about += f" {versions({who: [r for r in runs if r['contestant'] == who] for who in SEARCHERS})}".rstrip()
            parts += [f"### {scenario.name}\n\n{about}", _table(runs, minutes), _figure(record, scenario, runs, minutes[-1])]
    return "\n\n".join(parts)


def searched(runs: Sequence[Run], scenario: str, minutes: float) -> list[Run]:
    """The searches of one length, of the seeds with which everybody searched."""
    mine = [r for r in runs if (r["scenario"], r["minutes"]) == (scenario, minutes)]
    seeds = set.intersection(*({r["seed"] for r in mine if r["contestant"] == who} for who in SEARCHERS))
    return [r for r in mine if r["seed"] in seeds]


def boxed(runs: Sequence[Run]) -> str:
    """What volumes are relative to."""
    return (
        f"Volumes are relative to the box of the dense network of seed {_box(runs)['seed']}, for all seeds and both searchers; "
        "accuracies above dense can make them larger than 1."
    )


def _box(runs: Sequence[Run]) -> Run:
    """The search whose dense network all volumes refer to: prunesearch's with the first seed."""
    return min((r for r in runs if "dense" in r), key=lambda r: int(r["seed"]))


def _table(runs: Sequence[Run], minutes: Sequence[float]) -> str:
    rows = []
    for after in minutes:
        for contestant in SEARCHERS:
            trials, found = standing(runs, contestant, after)
            spreads = [_spread(values) for values in zip(*found, strict=True)]
            rows.append([f"{after:g}", contestant, f"{trials:.0f}", *spreads])
    return table(["minutes", "", "trials", "hypervolume", "zoomed"], rows)


def standing(runs: Sequence[Run], contestant: str, minutes: float) -> tuple[float, list[tuple[float, float]]]:
    """How many trials had ended after so many minutes, the mean over the searches, and the `volumes` of each search.

    Args:
        runs: as `searched` gives them, at least one per contestant.
        contestant: of `SEARCHERS`.
        minutes: at most as long as the searches were.
    """
    mine, dense = [r["rows"] for r in runs if r["contestant"] == contestant], _box(runs)["dense"]
    trials = mean(sum(row["finished"] <= 60 * minutes for row in rows) for rows in mine)
    return trials, [volumes(rows, 60 * minutes, dense) for rows in mine]


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def _figure(record: Record, scenario: Scenario, runs: Sequence[Run], minutes: float) -> str:
    """The curves of `zoomed`, one thin line per search; where it was put, in Markdown."""
    from plotly.graph_objects import Figure, Scatter

    times = [60 * minutes * (i + 1) / _CURVE for i in range(_CURVE)]
    figure, shown, dense = Figure(), set[str](), _box(runs)["dense"]
    for run in runs:
        name = run["contestant"]
        values = [volumes(run["rows"], t, dense)[1] for t in times]
        look = {
            "name": name,
            "legendgroup": name,
            "showlegend": name not in shown,
            "line": {"color": _COLORS[name], "width": 1.5},
        }
        figure.add_trace(Scatter(x=[t / 60 for t in times], y=values, mode="lines", **look))
        shown.add(name)
    figure.update_layout(template="plotly_white", xaxis_title="minutes", yaxis_title="zoomed hypervolume", title=scenario.about)
    target = record.folder / "results" / f"{NAME}-{scenario.name}.png"
    try:
        write_figure(figure, target)
    except EnvironmentFailure as problem:
        return f"(no figure: {problem.message})"
    return f"![zoomed hypervolume over time](results/{target.name})"


if __name__ == "__main__":
    main()

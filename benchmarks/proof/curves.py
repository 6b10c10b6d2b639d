"""`prunesearch curve` as its users run it, kept as JSON, and the lines that are read off it.

A curve that was measured is not measured again; one that was stopped goes on from the epochs that it has trained.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from benchmarks.machine import in_words
from benchmarks.proof.pictures import PICTURES, WIDTH
from benchmarks.proof.searches import Where, commit
from benchmarks.proof.words import load_words
from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from prunesearch.report.curves import Drawing, curve_figure
from prunesearch.report.published import Published
from prunesearch.sweeps.curves import CurvePoint

MINUTE = 60
HEIGHT = 520
NOISE = 2.0
"""A published figure counts as reached where ours is not lower by more than so many of its standard deviations over seeds."""
FIGURES = ("removed", "sparsity", "params", "accuracy", "test_accuracy", "test_loss")
"""What is kept of every network; see `prunesearch.sweeps.curves.FIGURES`."""


@dataclass(frozen=True)
class Asked:
    """One curve.

    Args:
        name: what it is called in the record, and its picture.
        title: what stands above the picture.
        arguments: what follows `prunesearch curve`.
    """

    name: str
    title: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a person types."""
        return shlex.join(["prunesearch", "curve", *self.arguments])


def measure(record: Record, asked: Asked, where: Where) -> None:
    """Run a curve that is not on record.

    Raises:
        SystemExit: the command failed; with what it said.
    """
    if record.find(name=asked.name, command=asked.command):
        return
    command = [sys.executable, "-m", "prunesearch", "curve", *asked.arguments, "--workers", "2", "--quiet", "--format", "json"]
    command += ["--data-dir", where.data_dir] if where.data_dir else []
    environment = {**os.environ, "PRUNESEARCH_HOME": str(where.home), "PYTHONPATH": str(ROOT)}
    before, clock = _processor(), time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{asked.command} ended with {done.returncode}:\n{done.stderr}")
    spent = {"wall": round(time.perf_counter() - clock), "processor": round(_processor() - before), "commit": commit()}
    record.add({"name": asked.name, "command": asked.command}, spent | kept(json.loads(done.stdout)))
    print(f"{asked.command}: {spent['wall']} s", flush=True)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kept(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of a curve: per series the granularity and, by level and then by seed, every figure."""
    series: dict[str, dict[str, Any]] = {}
    for run in told["runs"]:
        policy = run["policy"]
        line = series.setdefault(run["series"], {"granularity": policy["granularity"] if policy else "", "levels": {}})
        row = line["levels"].setdefault(f"{run['level']:g}", {"unusable": 0})
        row["unusable"] += run["state"] != "complete"
        for name in FIGURES:
            if name in run:
                row.setdefault(name, []).append(round(run[name], 5))
    return {"task": told["task"], "epochs": told["epochs"], "seeds": told["seeds"], "series": series}


def found(runs: Iterable[Run], asked: Asked) -> Run | None:
    """The run of a curve, if there is one."""
    return next((r for r in runs if r["command"] == asked.command), None)


def points_of(run: Run) -> list[CurvePoint]:
    """The points of a curve, without the dense network."""
    lines = {name: line for name, line in run["series"].items() if name != "dense"}
    return [
        _point(name, float(level), line["granularity"], row)
        for name, line in lines.items()
        for level, row in line["levels"].items()
    ]


def dense_of(run: Run) -> CurvePoint:
    """The dense network of a curve."""
    return _point("dense", 0.0, "", run["series"]["dense"]["levels"]["0"])


def at(run: Run, series: str, level: float) -> CurvePoint | None:
    """One point of a curve, if it was measured."""
    return next((p for p in points_of(run) if p.series == series and p.level == level), None)


def levels_of(run: Run) -> list[float]:
    """All levels of a curve, ascending."""
    return sorted({p.level for p in points_of(run)})


def _point(series: str, level: float, granularity: str, row: Mapping[str, Any]) -> CurvePoint:
    columns = {name: row[name] for name in FIGURES if name in row}
    figures = {name: fmean(values) for name, values in columns.items()}
    deviations = {name: stdev(values) for name, values in columns.items() if len(values) > 1}
    return CurvePoint(series, level, granularity, figures, deviations, len(columns.get("test_accuracy", ())))


def told(point: CurvePoint | None) -> str:
    """Test accuracy over the seeds, in percent: `98.42 ± 0.07`."""
    if point is None or "test_accuracy" not in point.figures:
        return "-"
    deviation = point.deviations.get("test_accuracy")
    return f"{100 * point.figures['test_accuracy']:.2f}" + (f" ± {100 * deviation:.2f}" if deviation is not None else "")


def below(point: CurvePoint, value: float) -> bool:
    """Whether a point stays below a published figure (in percent) by more than `NOISE` deviations over the seeds."""
    return 100 * (point.figures["test_accuracy"] + NOISE * point.deviations.get("test_accuracy", 0.0)) < value


def draw(asked: Asked, run: Run, published: Sequence[Published] = (), *, losses: bool = True) -> None:
    """Write `docs/pictures/NAME.png` as `prunesearch curve --plot` does, with what others have published.

    Args:
        asked: gives name and title.
        run: what was measured.
        published: points of others; a fraction of weights or units lies along x, as they have it.
        losses: whether losses are drawn where there is room.
    """
    hidden = () if losses else ("test_loss",)
    points = [replace(p, figures={n: v for n, v in p.figures.items() if n not in hidden}) for p in points_of(run)]
    figure = curve_figure(Drawing(points, dense_of(run), asked.title, published=published, axis="removed", buttons=False))
    figure.layout.yaxis.autorangeoptions = {"maxallowed": 1.01}  # a band may reach beyond what an accuracy can
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.write_image(PICTURES / f"{asked.name}.png", width=WIDTH, height=HEIGHT)


def origin(run: Run) -> str:
    """Command, seeds, cost, commit and machine of one curve."""
    seeds = f"seeds {run['seeds'][0]} to {run['seeds'][-1]}"
    return (
        f"`{run['command']}`: {seeds}, {run['wall'] / MINUTE:.0f} minutes on the clock and "
        f"{run['processor'] / MINUTE:.0f} of processor time, two workers, {load_words([run])}; {run['date']}, "
        f"commit {run['commit']}. {in_words(run['machine'])}."
    )

"""What the sections of docs/results.md say alike: where figures come from, and figures over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from benchmarks.machine import in_words
from benchmarks.proof.repeats import SEEDS
from benchmarks.record import Run, digits
from prunesearch.report.words import duration, number

MIB = 2**20


def search_words(run: Run) -> str:
    """One sentence on what a search did and cost."""
    asked, trials = run["epochs"] * (len(run["trials"]) + 1), len(run["trials"])
    workers = f"{run['workers']} workers" if run["workers"] else "one worker per core"
    return (
        f"`{run['command']}`: {trials} trials of {run['epochs']} epochs, seed 0, {workers}, "
        f"{duration(run['wall'])} on the clock, {duration(run['processor'])} of processor time, "
        f"{run['epochs_trained']} of {asked} epochs trained (the others were shared), driver and workers together "
        f"{number(run['peak'] // MIB)} MiB at most."
    )


def command_of(name: str, search: str = "") -> str:
    """What makes a row's figures, and below it the search alone: `python -m benchmarks proof_small`.

    Args:
        name: the proof's.
        search: the study that it searches, if any.
    """
    return f"`python -m benchmarks {name}`" + (f"<br>`prunesearch search {search}`" if search else "")


def origin(runs: Sequence[Run], name: str) -> str:
    """Command, dates, load, commits and machine of all runs of a section."""
    dates, about = sorted(r["date"] for r in runs), runs[-1]["machine"]
    commits = ", ".join(sorted({r["commit"] for r in runs}))
    return (
        f"*{command_of(name)}; {dates[0]} to {dates[-1]}, {load_words(runs)}; seeds of repetitions {', '.join(map(str, SEEDS))}; "
        f"commits {commits}. {in_words(about)}.*"
    )


def load_words(runs: Sequence[Run]) -> str:
    """The load under which runs were made, and what follows from it for their minutes."""
    low, high = (digits(f(float(r["load"]) for r in runs)) for f in (min, max))
    loads, cores = low if low == high else f"{low} to {high}", int(runs[-1]["machine"]["cores"])
    if float(high) > cores + 1:
        return f"on a machine shared with other work (load {loads} on {cores} cores: minutes are upper bounds)"
    return f"load {loads} on {cores} cores"


def spread(runs: Sequence[Run], measure: str = "test_accuracy", *, error: bool = False) -> str:
    """Mean and standard deviation over seeds, in percent: `98.42 ± 0.07`; `-` where there is none.

    Args:
        runs: repetitions of one policy.
        measure: which figure.
        error: 100 % minus it.
    """
    values = [100 * (1 - r[measure] if error else r[measure]) for r in runs]
    if not values:
        return "-"
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def ratio_of(runs: Sequence[Run]) -> str:
    """The latency over the dense network's, mean and standard deviation over seeds: `0.815 ± 0.012`."""
    values = [float(r["latency_ratio"]) for r in runs]
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def mean_of(runs: Sequence[Run], measure: str = "test_accuracy") -> float:
    """The mean over seeds."""
    return fmean(float(r[measure]) for r in runs)


def point_of(runs: Sequence[Run]) -> tuple[float, float, float]:
    """Parameters, test accuracy in percent and its deviation, for a picture."""
    values = [100 * r["test_accuracy"] for r in runs]
    return mean_of(runs, "params"), fmean(values), stdev(values) if len(values) > 1 else 0.0

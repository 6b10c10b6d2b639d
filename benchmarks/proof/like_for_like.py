"""NeuralNetPruning's and Keras pruning's curves, as published: the same network, recipe and cuts, and no training after the cut.

    python -m benchmarks proof_like_for_like [--only mnist] --work FOLDER [--data-dir DIR]

784-1000-1000-500-200-10 without biases, five epochs of Adam in batches of 64 (`recipes.py`); then a share k of every layer's
weights, or of its neurons by the l2 norm of their incoming weights, the output layer spared. Neurons are physically removed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.proof.budgets import HARDEST, KERAS, NEURAL, PUBLISHED, TITLES
from benchmarks.proof.curves import NOISE, Asked, at, below, dense_of, draw, found, levels_of, measure, origin, told
from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import shown
from benchmarks.proof.searches import FOLDER, place, stored
from benchmarks.proof.words import command_of
from benchmarks.record import Record, Run
from prunesearch.report.published import Published
from prunesearch.schedules.markdown import table
from prunesearch.sweeps.curves import CurvePoint

NAME = "proof_like_for_like"
LEVELS = "0.25,0.5,0.6,0.7,0.8,0.9,0.95,0.97,0.99"
SERIES: Mapping[str, str] = MappingProxyType({"weight": "weight, l2", "unit": "neuron, l2"})
"""Kind of cut, as in `budgets.PUBLISHED` -> the line of `prunesearch curve`; for single weights l2 is |w|."""
DENSE: Mapping[tuple[str, str], float] = MappingProxyType({("mnist", NEURAL): 97.3, ("fashion", KERAS): 89.1})
"""(data, system) -> the dense network's test accuracy in percent, where it is known."""


def _asked(data: str) -> Asked:
    task = ("--task", f"benchmarks/proof/recipes.py:{data}", "--levels", LEVELS, "--seeds", "3")
    cuts = ("--granularity", "weight", "--granularity", "neuron", "--criterion", "l2")
    return Asked(f"curves-{data}", f"{TITLES[data]}, 784-1000-1000-500-200-10, cut and not retrained", (*task, *cuts))


CURVES: Mapping[str, Asked] = MappingProxyType({data: _asked(data) for data in TITLES})


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    runs = stored(NAME)
    parts = [_part(data, run) for data, asked in CURVES.items() if (run := found(runs, asked))]
    if not parts:
        return ""
    text = (
        f"## Like for like: cut and not retrained ({NEURAL}, {KERAS})\n\nThe network, its recipe and the cuts are those of "
        f"{NEURAL}: no biases, pixels from 0 to 1, Adam at 0.001, batches of 64, five epochs; then the smallest share k of every "
        "layer's weights, or of its neurons by l2 norm, the output layer spared, and no training after that. Theirs is one "
        "network, trained on 60,000 images; ours are three, on 59,400. The recipe of the other system is not known beyond its "
        "network. *Parameters removed* is measured. Test accuracy in percent, mean and deviation over seeds."
    )
    return "\n\n".join([text, *parts])


def _part(data: str, run: Run) -> str:
    known = ", ".join(f"{system} {value:g}" for (of, system), value in DENSE.items() if of == data)
    parts = [f"### {TITLES[data]} (dense: {told(dense_of(run))}; published: {known})"]
    head = ["k", *(f"{kind}s: {what}" for kind in SERIES for what in (*PUBLISHED[data, kind], "ours", "parameters removed"))]
    rows = [[f"{k:g}", *(cell for kind in SERIES for cell in _cells(data, run, kind, k))] for k in levels_of(run)]
    beyond, within = ("; ".join(words) or "nothing" for words in lower(data, run))
    dense = ", ".join(f"{100 * value:.2f}" for value in run["series"]["dense"]["levels"]["0"]["test_accuracy"])
    verdict = (
        f"Below a published figure by more than {NOISE:g} deviations over the seeds: {beyond}. Below one, but within that: "
        f"{within}. At a constant learning rate the networks differ: dense, the seeds have {dense}."
    )
    parts += [table(head, rows), verdict]
    return "\n\n".join([*parts, shown(CURVES[data].name, CURVES[data].title), origin(run)])


def _cells(data: str, run: Run, kind: str, k: float) -> list[str]:
    point = at(run, SERIES[kind], k)
    others = [f"{points[k]:.2f}" if k in points else "-" for points in PUBLISHED[data, kind].values()]
    removed = f"{point.figures['sparsity']:.3f}" if point else "-"
    return [*others, told(point), removed]


def lower(data: str, run: Run) -> tuple[list[str], list[str]]:
    """The published points above the mean of ours, in words: beyond seed noise, and within it."""
    beyond: list[str] = []
    within: list[str] = []
    for kind, series in SERIES.items():
        for system, points in PUBLISHED[data, kind].items():
            for k, value in points.items():
                point = at(run, series, k)
                if point and 100 * point.figures["test_accuracy"] < value:
                    words = f"{system}, {100 * k:g} % of {kind}s: {value:g} published, {told(point)} ours"
                    words += _lost(run, point, value, DENSE.get((data, system)))
                    (beyond if below(point, value) else within).append(words)
    return beyond, within


def _lost(run: Run, point: CurvePoint, value: float, dense: float | None) -> str:
    """What the cut took from either dense network, which need not be equally good."""
    if dense is None:
        return ""
    ours = 100 * (dense_of(run).figures["test_accuracy"] - point.figures["test_accuracy"])
    return f" (points lost to the cut: {dense - value:.1f} and {ours:.1f})"


def pictures() -> None:
    """One picture per data set, with the published points."""
    for data, asked in CURVES.items():
        run = found(stored(NAME), asked)
        if run:
            draw(asked, run, _published(data))


def _published(data: str) -> list[Published]:
    return [
        Published(f"{system}, {kind}s", k, value / 100)
        for kind in SERIES
        for system, points in PUBLISHED[data, kind].items()
        for k, value in points.items()
    ]


def summary() -> list[Summary]:
    """Rows of the README's table: per system and data set the hardest cuts that still mean something."""
    return [row for data, asked in CURVES.items() if (run := found(stored(NAME), asked)) for row in _summary(data, run)]


def _summary(data: str, run: Run) -> list[Summary]:
    rows = []
    for kind, series in SERIES.items():
        for system, points in PUBLISHED[data, kind].items():
            k = max(k for k in points if k <= HARDEST)
            what = f"{TITLES[data]}, {100 * k:g} % of {kind}s"
            whose = "its" if system == NEURAL else f"{NEURAL}'s"  # the other's recipe is not known
            ours = f"{told(at(run, series, k))} % ({whose} recipe)"
            rows.append(Summary(system, what, f"{points[k]:g} %", ours, command=_COMMAND))
    return rows


_COMMAND = command_of(NAME)


def main() -> None:
    """Measure what is not on record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CURVES), default=list(CURVES))
    where, given = place(parser)
    for data in given.only:
        measure(Record(NAME, FOLDER), CURVES[data], where)


if __name__ == "__main__":
    main()

"""prunpy's grid: every schedule with every function, on its network, at nine sensitivities, scored on test data.

    python -m benchmarks proof_grid --work FOLDER [--data-dir DIR]

784-32-32-10 on MNIST. All schedules begin at a quarter of the epochs; masks of one_shot_static, gradual and rewind_pruning
hold at every step, and what is reported under one_shot is the network with the mask applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.proof.curves import Asked, at, dense_of, draw, found, levels_of, measure, origin, points_of, told
from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import shown
from benchmarks.proof.searches import FOLDER, asked_where, stored
from benchmarks.record import Record, Run
from prunesearch.report.published import Published
from prunesearch.report.words import percent
from prunesearch.schedules.markdown import table
from prunesearch.sweeps.curves import CurvePoint

NAME = "proof_grid"
LEVELS = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"
PRUNPY = "prunpy"
PUBLISHED: Mapping[float, float] = MappingProxyType({0.6: 95.0, 0.7: 68.0, 0.8: 50.0, 0.9: 21.0})
"""Sparsity -> accuracy on the *training* data in percent, gradual; the best of its last ten epochs."""
MOVING = (
    f"{PRUNPY} animates the network and the weights of its layers while they are pruned: [animations.md](animations.md) has both "
    "for this network."
)
GRADUAL = "percentage, gradual"
CURVE = Asked(
    "grid",
    "MNIST, 784-32-32-10: all schedules",
    ("--task", "mnist-mlp32", "--schedules", "--levels", LEVELS, "--epochs", "12", "--seeds", "3"),
)


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    run = found(stored(NAME), CURVE)
    if run is None:
        return ""
    text = (
        f"## All schedules on 784-32-32-10 ({PRUNPY})\n\nThe share of weights that each of seven schedules is asked to remove, "
        "and the test accuracy that is left, in percent, mean and deviation over three seeds. A bound on weights has no level of "
        "its own: there 0 to 1 goes through the range of bounds on a logarithmic scale, and the share that really went stands "
        f"in brackets, as it does under rewind_pruning, which stops where accuracy does not come back. {PRUNPY}'s figures are "
        "for gradual, on the *training* data, with dropout, 50 epochs of RMSProp; its static masks are not applied again, "
        f"so that pruned weights grow back. Ours is the network that is left. Dense: {told(dense_of(run))}."
    )
    names = list(dict.fromkeys(p.series for p in points_of(run)))
    rows = [[f"{k:g}", *(_cell(at(run, name, k)) for name in names), _other(k)] for k in levels_of(run)]
    head = ["asked", *names, f"{PRUNPY}, gradual, *training*"]
    return "\n\n".join([text, table(head, rows), _verdict(run), shown(CURVE.name, CURVE.title), MOVING, origin(run)])


def _verdict(run: Run) -> str:
    lower = ", ".join(percent(k) for k in missed(run))
    where = f"at all published sparsities but {lower}" if lower else "at every published sparsity"
    return f"Gradual on test data is above {PRUNPY}'s accuracy on training data {where}."


def _cell(point: CurvePoint | None) -> str:
    """Accuracy, and in brackets the share that was removed where it is not the share asked for."""
    if point is None:
        return "-"
    removed = point.figures["removed"]
    return told(point) if abs(removed - point.level) < 0.005 else f"{told(point)} ({percent(removed)})"


def _other(level: float) -> str:
    return f"{PUBLISHED[level]:g}" if level in PUBLISHED else "-"


def pictures() -> None:
    """All lines, and the published points."""
    run = found(stored(NAME), CURVE)
    if run:
        published = [Published(f"{PRUNPY}, gradual, on training data", k, v / 100) for k, v in PUBLISHED.items()]
        draw(CURVE, run, published)


def missed(run: Run) -> list[float]:
    """The sparsities at which gradual on test data is not above the published figure on training data."""
    return [k for k, v in PUBLISHED.items() if (p := at(run, GRADUAL, k)) is None or 100 * p.figures["test_accuracy"] <= v]


def summary() -> list[Summary]:
    """The row of the README's table."""
    run = found(stored(NAME), CURVE)
    if run is None:
        return []
    what = "784-32-32-10 on MNIST, gradual, 90 % of weights"
    published = f"{PUBLISHED[0.9]:g} % on training data"
    return [Summary(PRUNPY, what, published, f"{told(at(run, GRADUAL, 0.9))} %", command=f"`{CURVE.command}`")]


def main() -> None:
    """Measure what is not on record."""
    measure(Record(NAME, FOLDER), CURVE, asked_where(__doc__))


if __name__ == "__main__":
    main()

"""Three ways to prune whole neurons of small networks ("Ways to prune"), scored on data that nobody trained on.

    python -m benchmarks proof_strategies --work FOLDER [--data-dir DIR]

A network is trained, a share of the neurons of every hidden layer is removed (l1 of the incoming weights, the output layer
spared), and what is left trains for as many epochs again: from new random values, from its own initial values, or from the
values that it had, in five rounds. The dense network trains for all epochs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.proof.curves import Asked, at, below, dense_of, draw, found, levels_of, measure, origin, told
from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import shown
from benchmarks.proof.searches import FOLDER, asked_where, stored
from benchmarks.proof.words import command_of
from benchmarks.record import Record, Run
from prunesearch.report.published import Published
from prunesearch.report.words import percent
from prunesearch.schedules.markdown import table

NAME = "proof_strategies"
RATIOS = "0.05,0.1,0.15,0.2,0.25,0.3,0.35,0.4,0.45,0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.9,0.95,0.97"
FEW = "0.5,0.8,0.9"
STRATEGIES = ("one-cut-new-values", "one-cut-initial-values", "five-cuts-values-kept")
"""Policy files in `policies/`, and lines of `prunesearch curve`."""
SYSTEM = "Ways to prune"
BEST = STRATEGIES[-1]
ONE_CUT = "one cut"
"""Whose strategy a published figure names so; to be held against our single cuts."""


def _asked(name: str, task: str, title: str, *, epochs: int, seeds: int = 10, levels: str = RATIOS) -> Asked:
    policies = [word for policy in STRATEGIES for word in ("--policy", f"benchmarks/proof/policies/{policy}.yaml")]
    asked = ["--task", task, "--epochs", str(epochs), "--seeds", str(seeds), "--levels", levels, *policies]
    return Asked(f"strategies-{name}", title, tuple(asked))


_NARROW = "benchmarks/proof/recipes.py:narrow_"
CURVES = (
    _asked("moons", "moons-mlp", "Two half moons, 2-30-2", epochs=60),
    _asked("circles", "circles-mlp", "Two circles, 2-20-18-16-14-2", epochs=60),
    _asked("iris", "iris-mlp", "Iris, 4-32-16-3", epochs=80),
    _asked("mnist", f"{_NARROW}mnist", "MNIST, 784-140-130-120-110-10", epochs=10, seeds=3, levels=FEW),
    _asked("fashion", f"{_NARROW}fashion", "Fashion-MNIST, 784-140-130-120-110-10", epochs=10, seeds=3, levels=FEW),
)
PUBLISHED: Mapping[str, tuple[tuple[str, float, float], ...]] = MappingProxyType(
    {
        "strategies-moons": (("strategy not known", 0.8, 97.1), ("strategy not known", 0.9, 92.8)),
        "strategies-circles": (("dense", 0.0, 97.5), (ONE_CUT, 0.9, 50.0)),
        "strategies-mnist": (("dense", 0.0, 93.5), ("strategy not known", 0.8, 88.0), ("strategy not known", 0.9, 73.5)),
        "strategies-fashion": (("dense", 0.0, 84.4), ("strategy not known", 0.8, 77.5), ("strategy not known", 0.9, 73.7)),
    }
)
"""Curve -> (which strategy, ratio, accuracy in percent). Their iterative figures score the unpruned network and are left out."""


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    runs = stored(NAME)
    parts = [_part(asked, run) for asked in CURVES if (run := found(runs, asked))]
    if not parts:
        return ""
    text = (
        f"## Three ways to prune neurons ({SYSTEM})\n\nA network trains for half of the epochs, a share of the neurons of "
        "every hidden layer is physically removed (l1 norm of the incoming weights, the output layer spared), and what is left "
        "trains for the other half with the learning rate restarted: from new random values, from its initial values, or from "
        "the values it had, in five cuts. The dense network trains for all epochs. Test accuracy in percent, mean and deviation "
        "over the seeds, on examples that nobody trained on or chose by. Their iterative figures (.97 to .99 up to 90 % on two "
        "circles) score the unpruned network by mistake, so there is nothing to compare with."
    )
    return "\n\n".join([text, *parts])


def _part(asked: Asked, run: Run) -> str:
    rows = [[f"{k:g}", *(told(at(run, name, k)) for name in STRATEGIES), _removed(run, k)] for k in levels_of(run)]
    head = ["share of neurons", *map(_words, STRATEGIES), "parameters removed"]
    others = "; ".join(f"{who} {value:g} % at {percent(k)}" for who, k, value in PUBLISHED.get(asked.name, ()))
    parts = [f"### {asked.title} (dense: {told(dense_of(run))})", table(head, rows), shown(asked.name, asked.title)]
    lower = [text for who, k, value in PUBLISHED.get(asked.name, ()) if (text := _missed(run, who, k, value))]
    verdict = [f"Published: {others}. Below it by more than seed noise: {'; '.join(lower) or 'nothing'}."] if others else []
    return "\n\n".join([*parts, *verdict, origin(run)])


def _missed(run: Run, who: str, level: float, value: float) -> str:
    """What is told where even our best strategy stays below a published figure; empty where it does not."""
    points = [dense_of(run)] if who == "dense" else [p for name in _comparable(who) if (p := at(run, name, level))]
    best = max(points, key=lambda p: p.figures["test_accuracy"])
    return f"{percent(level)}: {told(best)} ours" if below(best, value) else ""


def _words(name: str) -> str:
    """`one cut, new values`."""
    cuts, values = name.replace("-", " ").split(" cut", 1)
    kind, _, what = values.partition(" ")
    return f"{cuts} cut{kind}, {what}"


def _comparable(who: str) -> tuple[str, ...]:
    return STRATEGIES[:-1] if who == ONE_CUT else STRATEGIES


def _removed(run: Run, level: float) -> str:
    point = at(run, BEST, level)
    return f"{point.figures['sparsity']:.3f}" if point else "-"


def pictures() -> None:
    """One picture per network, with the published points."""
    for asked in CURVES:
        run = found(stored(NAME), asked)
        if run:
            points = [Published(f"{SYSTEM}, {who}", k, v / 100) for who, k, v in PUBLISHED.get(asked.name, ())]
            draw(asked, run, points, losses=False)


def summary() -> list[Summary]:
    """Rows of the README's table: the hardest published ratio that can be compared."""
    rows = []
    for asked in CURVES:
        run, points = found(stored(NAME), asked), PUBLISHED.get(asked.name, ())
        if run and points:
            who, k, value = points[-1]
            what = f"{asked.title}, {percent(k)} of neurons"
            names = _comparable(who) if who == ONE_CUT else (BEST,)
            like = "<br>".join(f"{told(at(run, name, k))} % ({_words(name)})" for name in names)
            rows.append(Summary(SYSTEM, what, f"{value:g} %", like, command=_COMMAND))
    return rows


_COMMAND = command_of(NAME)


def main() -> None:
    """Measure what is not on record."""
    where, record = asked_where(__doc__), Record(NAME, FOLDER)
    for asked in CURVES:
        measure(record, asked, where)


if __name__ == "__main__":
    main()

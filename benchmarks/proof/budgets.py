"""The MLP of Keras pruning and NeuralNetPruning: searched and trained on under the parameter budget of every published k.

    python -m benchmarks proof_budgets --only mnist --work FOLDER [--data-dir DIR]

784-1000-1000-500-200-10 without biases, by single weights and by neurons, on MNIST and Fashion-MNIST. The published curves cut
the share k of every layer but the last and train no more; that is repeated here with the same seeds and epochs. A
searched policy may leave as many parameters as such a cut leaves, and not one more.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import Dots, draw, shown
from benchmarks.proof.repeats import DENSE, repeat, repeats_of
from benchmarks.proof.searches import FOLDER, Where, chosen, place, search_study, stored
from benchmarks.proof.words import command_of, mean_of, origin, point_of, search_words, spread
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.schedules.markdown import table

WIDTHS = (784, 1000, 1000, 500, 200, 10)
LEVELS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
KINDS = ("weight", "unit")
TITLES: Mapping[str, str] = MappingProxyType({"mnist": "MNIST", "fashion": "Fashion-MNIST"})
KERAS, NEURAL = "Keras pruning", "NeuralNetPruning"
PUBLISHED: Mapping[tuple[str, str], Mapping[str, Mapping[float, float]]] = MappingProxyType(
    {
        ("mnist", "weight"): {KERAS: {0.8: 97.9, 0.9: 91.0}, NEURAL: {0.5: 97.54, 0.8: 97.26, 0.95: 86.24}},
        ("mnist", "unit"): {KERAS: {0.7: 95.8, 0.8: 69.8}, NEURAL: {0.25: 97.36, 0.5: 96.86, 0.8: 70.42, 0.95: 13.78}},
        ("fashion", "weight"): {KERAS: {0.8: 87.0, 0.9: 73.8}},
        ("fashion", "unit"): {KERAS: {0.7: 78.3, 0.8: 45.6}},
    }
)
"""(data, kind) -> system -> k -> test accuracy in percent."""
ANCHORS: Mapping[str, tuple[float, ...]] = MappingProxyType({"weight": (0.9, 0.99), "unit": (0.5, 0.8, 0.9, 0.95, 0.97, 0.99)})
"""Budgets for which a policy is chosen; it serves all looser k down to the next one."""


def allowed(kind: str, k: float) -> int:
    """Parameters that are left when the share k of every layer but the last is cut: of its weights, or of its units."""
    pairs = list(pairwise(WIDTHS))
    if kind == "weight":
        return sum(a * b - _floor(a * b * k) for a, b in pairs[:-1]) + math.prod(pairs[-1])
    left = [WIDTHS[0], *(n - _floor(n * k) for n in WIDTHS[1:-1]), WIDTHS[-1]]
    return sum(a * b for a, b in pairwise(left))


def _floor(value: float) -> int:
    return math.floor(value + 1e-9)


def anchor(kind: str, k: float) -> float:
    """The budget whose policy serves k: the loosest that is at least as tight."""
    return min(a for a in ANCHORS[kind] if a >= k)


def policies(searches: Mapping[str, Run]) -> dict[str, Policy]:
    """What is run with fresh seeds: per kind the chosen policies, and the published cuts without any training after them."""
    made: dict[str, Policy] = {}
    for kind, search in searches.items():
        for level in ANCHORS[kind]:
            found = chosen(search, allowed(kind, level))
            if found:
                made[f"{kind} {level:g}"] = Policy.parse(found["policy"])
        made |= {f"{kind} {k:g} {LIKE}": Policy.parse(_like(kind, k, search["epochs"])) for k in LEVELS}
    return made


LIKE = "like for like"
HARDEST = 0.9
"""The README tells the hardest published cut up to this one; beyond it untrained networks guess."""


def _like(kind: str, k: float, epochs: int) -> dict[str, Any]:
    which = {"granularity": "weight", "criterion": "l1"} if kind == "weight" else {"granularity": "neuron", "criterion": "l2"}
    cut = {"epochs": epochs, "epoch_threshold": epochs, "function": "one_shot_static", "scope": "layer", "threshold": k}
    return which | cut


def _searches(runs: Sequence[Run], data: str) -> dict[str, Run]:
    found = {kind: [r for r in runs if r["kind"] == "search" and r["study"] == _study(data, kind)] for kind in KINDS}
    return {kind: searches[0] for kind, searches in found.items() if searches}


def _study(data: str, kind: str) -> str:
    return f"{data}-mlp1000-{kind}"


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    parts = [part for data in TITLES for part in _part(data, stored(f"proof_budgets_{data}"))]
    if not parts:
        return ""
    text = (
        f"## An MLP of 2,386,000 weights ({KERAS}, {NEURAL})\n\n784-1000-1000-500-200-10 without biases. Their curves cut the "
        "share k of every layer's weights or units (the last layer spared) and train no more; *like for like* is that, with this "
        "network, these epochs and these seeds. *Searched* was chosen on validation among policies that leave at most the "
        "parameters that such a cut leaves, and is trained for the same epochs in all. Test accuracy in percent, mean and "
        "deviation over three fresh seeds. 50 % of the units are 67 % of the parameters, hence the column."
    )
    return "\n\n".join([text, *parts])


def _part(data: str, runs: Sequence[Run]) -> list[str]:
    parts = []
    for kind, search in _searches(runs, data).items():
        rows = [_row(runs, data, kind, k) for k in LEVELS]
        head = ["k", "parameters allowed", *PUBLISHED[data, kind], LIKE, "searched", "parameters left"]
        dense = spread(repeats_of(runs, f"{data}-mlp1000", DENSE))
        title = f"### {_title(data, kind)} (dense: {dense})"
        parts += [
            title,
            table(head, rows),
            _verdict(data, kind, runs),
            shown(f"budgets-{data}-{kind}", _title(data, kind)),
            search_words(search),
        ]
    return [*parts, origin(runs, "proof_budgets")] if parts else []


def _found(runs: Sequence[Run], data: str, kind: str, k: float) -> tuple[list[Run], list[Run]]:
    """Repetitions at k: like for like, and of the chosen policy."""
    task = f"{data}-mlp1000"
    return repeats_of(runs, task, f"{kind} {k:g} {LIKE}"), repeats_of(runs, task, f"{kind} {anchor(kind, k):g}")


def _row(runs: Sequence[Run], data: str, kind: str, k: float) -> list[str]:
    like, searched = _found(runs, data, kind, k)
    told = [f"{points[k]:.2f}" if k in points else "-" for points in PUBLISHED[data, kind].values()]
    left = f"{mean_of(searched, 'params'):,.0f}" if searched else "-"
    return [f"{k:g}", f"{allowed(kind, k):,}", *told, spread(like), f"**{spread(searched)}**", left]


def _title(data: str, kind: str) -> str:
    return f"{TITLES[data]}, {'single weights' if kind == 'weight' else 'whole neurons'}"


def pictures() -> None:
    """Searched, like for like and published, per curve."""
    for data in TITLES:
        runs = stored(f"proof_budgets_{data}")
        for kind in _searches(runs, data):
            _picture(runs, data, kind)


def _picture(runs: Sequence[Run], data: str, kind: str) -> None:
    pairs = [_found(runs, data, kind, k) for k in LEVELS]
    dots = [
        Dots("searched, three seeds", "chosen", sorted({point_of(s) for _, s in pairs if s})),
        Dots("like for like, three seeds", "control", [point_of(like) for like, _ in pairs if like]),
    ]
    for system, look in zip(PUBLISHED[data, kind], ("published", "published2"), strict=False):
        points = PUBLISHED[data, kind][system]
        dots.append(Dots(system, look, [(allowed(kind, k), value, 0.0) for k, value in points.items()]))
    draw(f"budgets-{data}-{kind}", _title(data, kind), [d for d in dots if d.points], 0)


def missed(data: str, kind: str, runs: Sequence[Run]) -> list[str]:
    """The published points that the searched policy does not reach, in words.

    Within one point of the dense network 0.2 points less count as a tie; everywhere else it must be above.
    """
    dense = 100 * mean_of(repeats_of(runs, f"{data}-mlp1000", DENSE))
    out = []
    for system, points in PUBLISHED[data, kind].items():
        for k, value in points.items():
            searched = _found(runs, data, kind, k)[1]
            ours = 100 * mean_of(searched) if searched else 0.0
            if ours < value - (0.2 if value > dense - 1 else 0.0):
                out.append(f"{system}, k = {k:g}: {value:g} published, {ours:.2f} searched")
    return out


def _verdict(data: str, kind: str, runs: Sequence[Run]) -> str:
    """In words which published points are not reached, and where the same cut without training does better."""
    pairs = {k: _found(runs, data, kind, k) for k in LEVELS}
    if not all(like and searched for like, searched in pairs.values()):
        return "Not all repetitions were made."
    lost = missed(data, kind, runs)
    said = f"Published points that are not reached: {'; '.join(lost) or 'none'}."
    behind = {k: 100 * (mean_of(like) - mean_of(searched)) for k, (like, searched) in pairs.items()}
    worse = [k for k, points in behind.items() if points > 0]
    if not worse:
        return f"{said} The searched policy is at or above the same cut without training at every k."
    worst = max(behind.values())
    return f"{said} At k = {', '.join(f'{k:g}' for k in worse)} the same cut without training is up to {worst:.2f} points better."


def summary() -> list[Summary]:
    """Rows of the README's table."""
    rows = []
    for (data, kind), systems in PUBLISHED.items():
        runs = stored(f"proof_budgets_{data}")
        for system, points in systems.items():
            k = max(k for k in points if k <= HARDEST)
            like, searched = _found(runs, data, kind, k)
            if searched and like:
                what = f"{TITLES[data]}, {100 * k:g} % of {kind}s"
                command = command_of("proof_budgets", _study(data, kind))
                rows.append(Summary(system, what, f"{points[k]:g} %", f"{spread(like)} %", f"{spread(searched)} %", command))
    return rows


def _measure(data: str, where: Where) -> None:
    record = Record(f"proof_budgets_{data}", FOLDER)
    searches = {kind: search_study(_study(data, kind), record, where) for kind in KINDS}
    repeat(record, f"{data}-mlp1000", policies(searches), where)


def main() -> None:
    """Search, then run the chosen policies and the published cuts with fresh seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(TITLES), default=list(TITLES))
    where, given = place(parser)
    for data in given.only:
        _measure(data, where)


if __name__ == "__main__":
    main()

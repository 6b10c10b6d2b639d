"""Network Pruning's CNN, 6,130 parameters on MNIST, searched: at most 3,052 parameters at 97 %, and the whole front below.

python -m benchmarks proof_cnn84 --work FOLDER [--data-dir DIR]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import Dots, draw, shown
from benchmarks.proof.repeats import DENSE, repeat, repeats_of
from benchmarks.proof.searches import FOLDER, asked_where, chosen, search_study, stored
from benchmarks.proof.words import command_of, mean_of, origin, point_of, ratio_of, search_words, spread
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.report.words import policy_words
from prunesearch.results import LatencySpec
from prunesearch.schedules.markdown import table

NAME = "proof_cnn84"
STUDY = TASK = "mnist-cnn84"
PUBLISHED = 3052, 94.5
"""Parameters, and the middle of the accuracies that are reported for them, in percent (94 to 95)."""
BUDGETS: Mapping[str, int] = {"filter": 3052, "weight": 1600}
"""What is run again with fresh seeds: whole filters at the published size, single weights at half of it."""
TITLE = "MNIST, CNN of 8 and 4 filters"


def choices(search: Run) -> dict[str, Policy]:
    """What is run again: per granularity the best on validation within its budget."""
    found = {kind: chosen(search, budget, granularity=kind) for kind, budget in BUDGETS.items()}
    return {_label(kind): Policy.parse(trial["policy"]) for kind, trial in found.items() if trial}


def _label(kind: str) -> str:
    return f"{kind}s, at most {BUDGETS[kind]:,}"


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    runs = stored(NAME)
    search = next((r for r in runs if r["kind"] == "search"), None)
    if search is None:
        return ""
    rows = [_row(label, policy_words(policy), repeats_of(runs, TASK, label)) for label, policy in choices(search).items()]
    dense = _row(DENSE, "not pruned", repeats_of(runs, TASK, DENSE))
    head = ["chosen for", "parameters", "test accuracy, %", "latency / dense", "spread", "policy"]
    text = (
        "## A CNN of 8 and 4 filters (Network Pruning)\n\nPublished: 6,130 parameters become 3,052, two filters less in each "
        "convolution, at 94 to 95 %; 3.77 s become 3.64 s for 10,000 images one by one. Latency here is at batch size 1, one "
        "thread, interleaved with the dense network, mean and deviation over three seeds; single weights that are gone do not "
        "make it faster. The spread is the interquartile range over the rounds of one measurement, mean of the seeds."
    )
    front = (
        "The whole front of the search (validation chose; one seed). Latency was its third objective, measured before a fault "
        "in the cut's memory format was mended, so it is left out here; the filters' repetitions above were made after that.\n\n"
        + _front(search)
    )
    parts = [text, table(head, [dense, *rows]), shown("cnn84", TITLE), search_words(search), front, origin(runs, NAME)]
    return "\n\n".join(parts)


def _row(label: str, words: str, runs: Sequence[Run]) -> list[str]:
    if not runs:
        return [label, "-", "-", "-", "-", words]
    timed = all(r.get("latency_ratio") is not None for r in runs) and label != DENSE
    latency = [ratio_of(runs), f"{mean_of(runs, 'latency_ratio_iqr'):.3f}"] if timed else ["-", "-"]
    return [label, f"{mean_of(runs, 'params'):,.0f}", spread(runs), *latency, words]


def _front(search: Run) -> str:
    by_number = {t["trial"]: t for t in search["trials"]}
    rows = [by_number[n] for n in search["front"]]
    return table(
        ["trial", "parameters", "validation, %", "test, %", "policy"],
        [
            [
                str(t["trial"]), f"{t['params']:,}", f"{100 * t['accuracy']:.2f}", f"{100 * t['test_accuracy']:.2f}",
                policy_words(Policy.parse(t["policy"])),
            ]
            for t in rows
        ],
    )  # fmt: skip


def pictures() -> None:
    """All trials of the search, the chosen ones over three seeds, and what is published."""
    runs = stored(NAME)
    search = next((r for r in runs if r["kind"] == "search"), None)
    if search is None:
        return
    trials = [(t["params"], 100 * t["test_accuracy"], 0.0) for t in search["trials"] if t["state"] == "complete"]
    dots = [Dots("trials of the search, one seed", "trial", trials)]
    for kind, look in zip(BUDGETS, ("chosen", "other"), strict=True):
        found = repeats_of(runs, TASK, _label(kind))
        dots.append(Dots(f"{kind}s, chosen, three seeds", look, [point_of(found)] if found else []))
    dots.append(Dots("published", "published", [(PUBLISHED[0], PUBLISHED[1], 0.0)], ["Network Pruning"]))
    draw("cnn84", TITLE, [d for d in dots if d.points], 88)


def summary() -> list[Summary]:
    """The row of the README's table."""
    runs = stored(NAME)
    found = repeats_of(runs, TASK, _label("filter"))
    if not found:
        return []
    told = f"{mean_of(found, 'params'):,.0f} parameters at {spread(found)} %, {ratio_of(found)} of the latency"
    what, published = "MNIST, CNN of 8 and 4 filters, 6,130 parameters", "3,052 parameters at 94 to 95 %"
    return [Summary("Network Pruning", what, published, searched=told, command=command_of(NAME, STUDY))]


def main() -> None:
    """Search, then run the chosen policies again with fresh seeds."""
    where, record = asked_where(__doc__), Record(NAME, FOLDER)
    search = search_study(STUDY, record, where)
    repeat(record, TASK, choices(search), where, LatencySpec())


if __name__ == "__main__":
    main()

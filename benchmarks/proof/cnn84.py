"""Network Pruning's CNN, 6,130 parameters on MNIST, searched: at most 3,052 parameters at 97 %, and the whole front below.

python -m benchmarks proof_cnn84 --work FOLDER [--data-dir DIR]
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.proof.page import Summary
from benchmarks.proof.repeats import repeat
from benchmarks.proof.searches import FOLDER, asked_where, chosen, search_study
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.results import LatencySpec

NAME = "proof_cnn84"
STUDY = TASK = "mnist-cnn84"
BUDGETS: Mapping[str, int] = {"at most 3,052": 3052, "at most 1,530": 1530, "at most 765": 765}
"""The published size, a half of it and a quarter."""


def choices(search: Run) -> dict[str, Policy]:
    """What is run again: per budget the best on validation, once among filters and once among all."""
    picked: dict[str, Policy] = {}
    for label, budget in BUDGETS.items():
        for granularity in ("filter", "weight"):
            found = chosen(search, budget, granularity=granularity)
            if found:
                picked[f"{granularity}, {label}"] = Policy.parse(found["policy"])
    return picked


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    return ""


def summary() -> list[Summary]:
    """The row of the README's table."""
    return []


def main() -> None:
    """Search, then run the chosen policies again with fresh seeds."""
    where, record = asked_where(__doc__), Record(NAME, FOLDER)
    search = search_study(STUDY, record, where)
    repeat(record, TASK, choices(search), where, LatencySpec(batch_size=1))


if __name__ == "__main__":
    main()

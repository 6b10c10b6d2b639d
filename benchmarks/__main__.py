"""`python -m benchmarks`: lists the benchmarks; `python -m benchmarks NAME ...`: runs one."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Mapping
from types import MappingProxyType

from prunesearch.errors import did_you_mean

BENCHMARKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "quickstart_front": ("benchmarks.quickstart_front", "is the quickstart's front any good, against a sweep by hand"),
        "overhead": ("benchmarks.overhead", "share of a search's time outside training and evaluation; cost of a proposal"),
        "peers": ("benchmarks.race", "24 policies: a tutorial's page, an expert's script, prunesearch"),
        "scaling": ("benchmarks.scaling", "one worker against two, and how far from the bound"),
        "breakdown": ("benchmarks.breakdown", "where the time of a search goes, and how fast training runs"),
        "steps": ("benchmarks.steps", "what a training step consists of, exact and fast"),
        "growth": ("benchmarks.growth", "8 to 216 trials: seconds per trial, epochs shared, memory, store"),
        "adaptive": ("benchmarks.adaptive", "searches of equal length: hypervolume against an expert's"),
        "costs": ("benchmarks.costs", "what masks and selection cost a training step"),
        "gpu": ("benchmarks.gpu", "steps, workers, latencies and a search on a GPU; says so where there is none"),
        "networks": ("benchmarks.networks", "foreign networks: cut, compared, counted"),
        "proof_cnn84": ("benchmarks.proof.cnn84", "a published CNN of 6,130 parameters, searched"),
        "proof_field": ("benchmarks.proof.field", "LeNets at the field's published sizes, searched, with controls"),
        "proof_budgets": ("benchmarks.proof.budgets", "a published MLP, searched under the budget of every published cut"),
        "proof_like_for_like": ("benchmarks.proof.like_for_like", "a published MLP cut and not retrained, as published"),
        "proof_strategies": ("benchmarks.proof.strategies", "three ways to prune the neurons of small networks, on test data"),
        "proof_small": ("benchmarks.proof.small", "the two generated sets of these, searched under the published budgets"),
        "proof_grid": ("benchmarks.proof.grid", "seven schedules at rising sensitivities, on test data"),
        "results_page": ("benchmarks.proof.page", "docs/results.md, README's tables, RESULTS.md's goals, of what is on record"),
    }
)
"""Name -> module, and one line of what it measures."""


def listing() -> str:
    """What there is, one line each."""
    wide = max(map(len, BENCHMARKS))
    lines = [f"  {name:{wide}}  {about}" for name, (module, about) in BENCHMARKS.items() if importlib.util.find_spec(module)]
    return "\n".join(["python -m benchmarks NAME [--help]", "", *lines])


def main() -> None:
    """Run the benchmark that the command line names, or list all."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(listing())
        return
    name = sys.argv.pop(1)
    if name not in BENCHMARKS:
        sys.exit(f"no benchmark is called '{name}'; {did_you_mean(name, BENCHMARKS)}\n\n{listing()}")
    runpy.run_module(BENCHMARKS[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""What a training step consists of, in exact and in fast numerics, and which share of it fewer bits can shorten.

    python -m benchmarks steps --data-dir DIR [--scenario lenet300]

The dense network, the product's own loop, one thread. Exact and fast take turns of 100 steps; told are medians over the
rounds. What they are made of is read by torch's profiler over other 100 steps: it makes small operations look slower than they
are, so its shares are those of the profiled steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import tasks
from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.machine import source_digest
from benchmarks.race import OURS
from benchmarks.record import Record, Run
from benchmarks.scenarios import SCENARIOS, Scenario
from prunesearch.schedules.markdown import table
from prunesearch.training.loop import train_epoch
from prunesearch.training.numerics import Numerics, has_bfloat16
from prunesearch.training.pace import dense_loop
from prunesearch.training.prepare import Prepared, prepare

NAME = "steps"
STEPS, ROUNDS = 100, 10
CPU = torch.device("cpu")
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "matrix products, convolutions": ("mm", "addmm", "bmm", "convolution", "mkldnn"),
        "optimiser": ("adam", "Optimizer", "_foreach"),
        "casts and copies": ("copy_", "_to_copy", "aten::to", "empty_strided", "ToCopy"),
        "fetching the batch": ("index", "index_select"),
    }
)
"""Part -> what the names of its operations contain; everything else is the rest."""
REST = "everything else: norms, activations, loss, autograd, Python"


def main() -> None:
    """Measure and publish."""
    torch.set_num_threads(1)
    wanted = asked(NAME, parser(__doc__).parse_args(), ["lenet300"])
    code = source_digest(*OURS)
    left = [s for s in wanted.scenarios if wanted.record.find(scenario=s.name, code=code) is None]
    announce(f"{len(left)} of {len(wanted.scenarios)} networks", 15.0 * len(left))
    for scenario in left:
        wanted.record.add({"scenario": scenario.name, "code": code}, measured(scenario, wanted))
    print(wanted.record.publish(report(wanted.record)))


def measured(scenario: Scenario, wanted: Asked) -> dict[str, Any]:
    """Seconds per step, and what they are made of, by numerics."""
    task = getattr(tasks, scenario.name)(wanted.data_dir)
    prepared = prepare(task, scenario.task, seed=0, device=CPU)
    kinds = ("exact", "fast") if has_bfloat16(CPU) else ("exact",)
    steps = {kind: _stepper(prepared, fast=kind == "fast") for kind in kinds}
    for run in steps.values():
        run(0)
    count = min(STEPS, prepared.splits.train.steps)
    rounds = [{kind: _timed(run, i) for kind, run in steps.items()} for i in range(1, 2 if wanted.quick else 1 + ROUNDS)]
    seconds = {kind: median(r[kind] for r in rounds) / count for kind in kinds}
    return {"seconds": seconds, "parts": {kind: _parts(run) for kind, run in steps.items()}}


def _stepper(prepared: Prepared, *, fast: bool) -> Callable[[int], None]:
    """A function that trains `STEPS` steps of one epoch's data."""
    loop = dense_loop(prepared, Numerics(CPU, fast=fast))

    def run(epoch: int) -> None:
        train_epoch(loop, epoch, [1.0] * min(STEPS, prepared.splits.train.steps))

    return run


def _timed(run: Callable[[int], None], epoch: int) -> float:
    before = perf_counter()
    run(epoch)
    return perf_counter() - before


def _parts(run: Callable[[int], None]) -> dict[str, float]:
    """Shares of the profiled time."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run(0)
    spent: Counter[str] = Counter()
    for event in seen.key_averages():
        spent[_part(event.key)] += event.self_cpu_time_total
    return {part: spent[part] / spent.total() for part in (*PARTS, REST)}


def _part(name: str) -> str:
    plain = name.removeprefix("aten::")
    for part, words in PARTS.items():
        if plain in words or any(word in name for word in words if len(word) > len("mm")):
            return part
    return REST


def report(record: Record) -> str:
    """One table per network on record."""
    found = [(s, r) for s in SCENARIOS.values() for r in record.runs if r["scenario"] == s.name]
    return "\n\n".join(f"### {s.name}\n\n{s.about}.\n\n{_table(r)}" for s, r in found)


def _table(run: Run) -> str:
    kinds = list(run["seconds"])
    rows = [["a step, ms", *(f"{1000 * run['seconds'][kind]:.2f}" for kind in kinds)]]
    rows += [[part, *(f"{run['parts'][kind][part]:.0%}" for kind in kinds)] for part in (*PARTS, REST)]
    return table(["", *kinds], rows)


if __name__ == "__main__":
    main()

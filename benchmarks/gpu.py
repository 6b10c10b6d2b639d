"""What a GPU makes of it: steps by numerics and as CUDA graphs, workers that share it, latencies, and a whole search.

    python -m benchmarks gpu --data-dir DIR [--device cuda:0]

Where torch sees no CUDA device nothing is measured, and the page says so. `--quick --device cpu` tries the script itself.

steps    the product's own loop on the dense network: milliseconds per step, medians over rounds that take turns
workers  batches per second of 1, 2, 4 and 8 processes that train at once on one device; `--workers-per-gpu auto` tries 1, 2 and 4
latency  the network with half the units against the dense one, eager and as a replayed graph, at batch sizes 1 and 256
search   the committed list of policies, as in `peers`, with as many workers as `--workers-per-gpu auto` finds best
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import torch

from benchmarks import tasks
from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.machine import source_digest
from benchmarks.proof.searches import stored
from benchmarks.race import OURS
from benchmarks.record import Record, Run, digits
from benchmarks.scenarios import SCENARIOS, Scenario, listed
from benchmarks.searching import How, search
from prunesearch.engines import EngineSpec
from prunesearch.engines.calibration import calibrate
from prunesearch.engines.fleet import Fleet
from prunesearch.measure.latency import measure_latency
from prunesearch.policy import Policy
from prunesearch.pruning.session import PruningSession
from prunesearch.results import LatencySpec
from prunesearch.schedules.markdown import table
from prunesearch.training.loop import train_epoch
from prunesearch.training.numerics import Numerics, has_bfloat16, one_thread
from prunesearch.training.pace import dense_loop
from prunesearch.training.prepare import Prepared, device_name, find_device, prepare

NAME = "gpu"
NOTHING = "Not measured on a GPU yet."
STEPS, ROUNDS = 300, 5
COUNTS = (1, 2, 4, 8)
SIZES = (1, 256)
PARTS = ("steps", "workers", "latency", "search")


def main() -> None:
    """Measure what this device has not been measured for, and publish."""
    made = parser(__doc__)
    made.add_argument("--device", default="cuda:0", help="cuda:0, cuda:1, ...")
    made.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), help="which tables; default: all")
    args = made.parse_args()
    wanted = asked(NAME, args)
    if args.device != "cpu" and not torch.cuda.is_available():
        print("torch sees no CUDA device: nothing is measured")
        publish(wanted.record)
        return
    device = find_device(args.device)
    code, name = source_digest(*OURS, "benchmarks/gpu.py"), device_name(device)
    keys = [{"scenario": s.name, "part": p, "device": name, "code": code} for p in args.part for s in wanted.scenarios]
    left = [key for key in keys if wanted.record.find(**key) is None]
    announce(f"{len(left)} of {len(keys)} tables on {name}", 30.0 * len(left))
    for key in left:
        wanted.record.add(key, measured(str(key["part"]), SCENARIOS[str(key["scenario"])], device, wanted))
        print(f"{key['scenario']} {key['part']}", flush=True)
    publish(wanted.record)


def measured(part: str, scenario: Scenario, device: torch.device, wanted: Asked) -> dict[str, Any]:
    """One part on one network."""
    if part == "workers":
        spec = EngineSpec(scenario.task, device=str(device), data_dir=wanted.data_dir)
        counts, seconds = (COUNTS[:2], 0.2) if wanted.quick else (COUNTS, 3.0)
        return {"rates": {str(n): rate for n, rate in calibrate(Fleet(spec), str(device), counts, seconds).items()}}
    if part == "search":
        how = How(workers=0, data_dir=wanted.data_dir, device=str(device), workers_per_gpu=0)
        found = search(scenario, listed(scenario, quick=wanted.quick), how)
        return {"seconds": found.wall, "trained": found.trained, "asked": found.asked, "epoch_seconds": found.epoch_seconds}
    task = getattr(tasks, scenario.name)(wanted.data_dir)
    with one_thread(device):
        prepared = prepare(task, scenario.task, seed=0, device=device)
        if part == "steps":
            return {"ms": steps(prepared, 2 if wanted.quick else STEPS, 1 if wanted.quick else ROUNDS)}
        return {"ratios": latencies(prepared, scenario, rounds=3 if wanted.quick else 15)}


def steps(prepared: Prepared, count: int, rounds: int) -> dict[str, float]:
    """Milliseconds per step, by numerics, and recorded as CUDA graphs where the device can."""
    kinds = [False, True] if has_bfloat16(prepared.device) else [False]
    graphs = [False, True] if prepared.device.type == "cuda" else [False]
    runs = {_words(fast, graphed): _stepper(prepared, fast, graphed, count) for fast in kinds for graphed in graphs}
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = perf_counter()
            run()
            taken[name].append(1e3 * (perf_counter() - began) / count)
    return {name: median(values) for name, values in taken.items()}


def _words(fast: bool, graphed: bool) -> str:
    return ("fast" if fast else "exact") + (", graphs" if graphed else "")


def _stepper(prepared: Prepared, fast: bool, graphed: bool, count: int) -> Callable[[], None]:
    """Trains `count` steps; reading the loss at the end of an epoch waits for all of them."""
    numerics = Numerics(prepared.device, fast=fast)
    loop = dense_loop(prepared, numerics, graphed=graphed)

    def run() -> None:
        with numerics.training():
            left = count
            while left:  # whole epochs, as a search trains them, and the rest of one
                steps = min(left, prepared.splits.train.steps)
                train_epoch(loop, left, [1.0] * steps)
                left -= steps

    return run


def latencies(prepared: Prepared, scenario: Scenario, rounds: int) -> dict[str, list[float]]:
    """`eager, 1` -> latency of half the network in parts of the dense one's, and the dense one's in milliseconds."""
    half = _half(prepared, scenario)
    specs = [LatencySpec(backend="eager", batch_size=n, rounds=rounds) for n in SIZES]
    if prepared.device.type == "cuda":
        specs += [replace(spec, backend="cudagraph") for spec in specs]
    found = {}
    for spec in specs:
        seen = measure_latency(half, prepared.dense, prepared.example, spec, prepared.device)
        found[f"{spec.backend}, {spec.batch_size}"] = [seen.ratio, seen.dense_ms]
    return found


def _half(prepared: Prepared, scenario: Scenario) -> torch.nn.Module:
    """The network without half of its units, physically smaller."""
    model = prepared.fresh(0)
    fields = {"granularity": scenario.kind, "scope": "layer", "threshold": 0.5, "epoch_threshold": 0, "epochs": 0}
    fields |= {"function": "one_shot_static"} | ({"only": list(scenario.only)} if scenario.only else {})
    policy = Policy.parse(fields)
    session = PruningSession(model, policy, optimizer=None, example_input=prepared.example, groups=prepared.groups)
    session.finish()
    return model.eval()


def publish(record: Record) -> None:
    """Put the tables of the device that was measured last into the page, or that there is none."""
    runs = record.runs or stored(NAME)  # a GPU's figures stay on the page where another machine makes it anew
    print(record.publish(report(runs), runs))


def report(runs: Sequence[Run]) -> str:
    """One table per part."""
    if not runs:
        return NOTHING
    device = runs[-1]["device"]
    mine = [r for r in runs if r["device"] == device]
    tables = [f"On {device}."]
    for part, made in (("steps", _steps), ("workers", _workers), ("latency", _latency), ("search", _search)):
        found = [r for r in mine if r["part"] == part]
        tables += [made(found)] if found else []
    return "\n\n".join(tables)


def _steps(runs: Sequence[Run]) -> str:
    return "Milliseconds per training step:\n\n" + _wide(runs, "ms", digits)


def _workers(runs: Sequence[Run]) -> str:
    return "Batches per second of all workers together, by their number:\n\n" + _wide(runs, "rates", digits)


def _latency(runs: Sequence[Run]) -> str:
    told = (
        "Latency without half of the units in parts of the dense network's (whose milliseconds), by backend and batch size:\n\n"
    )
    return told + _wide(runs, "ratios", lambda pair: f"{digits(pair[0])} ({digits(pair[1])})")


def _search(runs: Sequence[Run]) -> str:
    rows = [[r["scenario"], digits(r["seconds"]), f"{r['trained']} / {r['asked']}", f"{r['epoch_seconds']:.3f}"] for r in runs]
    return "The committed list:\n\n" + table(["", "seconds", "epochs trained / asked", "s per epoch"], rows)


def _wide(runs: Sequence[Run], figure: str, told: Callable[[Any], str]) -> str:
    """One row per network, one column per key of a figure."""
    columns = list(dict.fromkeys(key for run in runs for key in run[figure]))
    values: list[Mapping[str, Any]] = [run[figure] for run in runs]
    rows = [
        [run["scenario"], *(told(value[c]) if c in value else "-" for c in columns)]
        for run, value in zip(runs, values, strict=True)
    ]
    return table(["", *columns], rows)


if __name__ == "__main__":
    main()

"""The same 24 policies, the same epochs: how long does everybody take?

    python -m benchmarks peers --data-dir DIR [--scenario lenet300] [--contestants tutorial,expert,prunesearch] [--repeats 1]

tutorial     the page that tutorials show: Optuna, torch.nn.utils.prune, DataLoader with transforms, default threads
tutorial2    the same with n_jobs=2
expert       tensors in memory, two processes of one thread, masks by multiplication, one study
tuned        the same with the optimiser in one kernel and channels_last, which prunesearch uses too
prunesearch  `prunesearch search`, two workers, in a folder where nothing was trained before
unshared     the same with --stage-budget 0: every trial from scratch
fast         prunesearch with --numerics fast: its time is told with and without measuring the front again in exact

Everybody is a process of its own, timed from its start to its end, imports and data included; all in turn, repeat by
repeat, every repeat with another seed of split, initial values and order. A run that was made before by the same code on
the same machine is not made again. Contestants may be named by letters: a tutorial, b tutorial2, c expert, d prunesearch,
e fast.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.agreement import Policies, agreement
from benchmarks.arguments import Asked, announce, asked, parser
from benchmarks.estimate import epoch_seconds, start_seconds
from benchmarks.machine import source_digest
from benchmarks.record import Record, Run, middle
from benchmarks.remarks import remarks
from benchmarks.scenarios import ROOT, SCENARIOS, Scenario, distinct_epochs, listed
from benchmarks.searching import How, search
from prunesearch.errors import did_you_mean
from prunesearch.schedules.markdown import table

NAME = "peers"
_BARS = ("tutorial", "expert", "tuned")
"""Against whom times are counted."""
Figures = dict[str, Any]

PEERS = ("benchmarks/peers", "benchmarks/data.py", "benchmarks/scenarios.py", "benchmarks/policies.yaml", "prunesearch/models")
OURS = ("prunesearch", "benchmarks/tasks.py", "benchmarks/data.py", "benchmarks/scenarios.py", "benchmarks/policies.yaml")


def tutorial(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int, *, jobs: int = 1) -> Figures:
    """The page that tutorials show."""
    return _script("tutorial", scenario, policies, data_dir, seed, "--jobs", str(jobs))


def tutorial2(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int) -> Figures:
    """The same with two jobs at a time."""
    return tutorial(scenario, policies, data_dir, seed, jobs=2)


def expert(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int) -> Figures:
    """The same by somebody who knows how."""
    return _script("expert", scenario, policies, data_dir, seed)


def tuned(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int) -> Figures:
    """The same with the fused optimiser and channels_last."""
    return _script("expert", scenario, policies, data_dir, seed, "--tuned")


def prunesearch(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int, *, shared: bool = True) -> Figures:
    """The product."""
    found = search(scenario, policies, How(shared=shared, seed=seed, data_dir=data_dir))
    epochs = {"trained": found.trained, "asked": found.asked, "epoch_seconds": found.epoch_seconds}
    return {"seconds": found.wall, "rows": found.in_order(policies), **epochs, "run": found.run}


def fast(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int) -> Figures:
    """The product in fast numerics; `before` is the time until all trials had ended, the rest is the front again in exact."""
    found = search(scenario, policies, How(seed=seed, data_dir=data_dir, numerics="fast"))
    epochs = {"trained": found.trained, "asked": found.asked, "epoch_seconds": found.epoch_seconds}
    again = {"before": found.trials_seconds, "again": found.again}
    return {"seconds": found.wall, "rows": found.in_order(policies), **again, **epochs, "run": found.run}


def unshared(scenario: Scenario, policies: Policies, data_dir: str | None, seed: int) -> Figures:
    """The product with every trial from scratch."""
    return prunesearch(scenario, policies, data_dir, seed, shared=False)


CONTESTANTS: Mapping[str, Callable[[Scenario, Policies, str | None, int], Figures]] = MappingProxyType(
    {
        "tutorial": tutorial,
        "tutorial2": tutorial2,
        "expert": expert,
        "tuned": tuned,
        "prunesearch": prunesearch,
        "unshared": unshared,
        "fast": fast,
    }
)
"""Name -> a function that runs a list of policies and gives `seconds` and one row per policy."""
LETTERS = MappingProxyType({"a": "tutorial", "b": "tutorial2", "c": "expert", "d": "prunesearch", "e": "fast"})
"""Short names on the command line."""
_OURS = ("prunesearch", "unshared", "fast")


def _script(name: str, scenario: Scenario, policies: Policies, data_dir: str | None, seed: int, *more: str) -> Figures:
    """Run a peer in a process of its own, with the threads that torch takes by itself."""
    with tempfile.TemporaryDirectory(prefix="prunesearch-bench-") as folder:
        given, to = Path(folder) / "policies.json", Path(folder) / "rows.json"
        given.write_text(json.dumps(list(policies)), encoding="utf-8")
        command = [sys.executable, "-m", f"benchmarks.peers.{name}", scenario.name, "--policies", str(given), "--to", str(to)]
        command += ["--seed", str(seed), *more, *(["--data-dir", data_dir] if data_dir else [])]
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return {"seconds": seconds, "rows": json.loads(to.read_text(encoding="utf-8"))}


def code_of(contestant: str) -> str:
    """Hash of what a contestant runs."""
    return source_digest(*(OURS if contestant in _OURS else PEERS))


def main() -> None:
    """Run everybody and publish the tables."""
    made = parser(__doc__)
    made.add_argument("--contestants", nargs="+", type=named, help="who runs, by name or letter; default: those of the scenario")
    args = made.parse_args()
    wanted = asked(NAME, args)
    todo = [(s, c, r) for s in wanted.scenarios for r in range(wanted.repeats) for c in _turn(s, args, r)]
    left = [t for t in todo if wanted.record.find(**_key(*t)) is None]
    announce(f"{len(left)} of {len(todo)} runs", sum(_seconds(wanted, s, c) for s, c, _ in left))
    for scenario, contestant, repeat in left:
        policies = listed(scenario, quick=wanted.quick)
        figures = CONTESTANTS[contestant](scenario, policies, wanted.data_dir, repeat)
        wanted.record.add(_key(scenario, contestant, repeat), figures)
        print(f"{scenario.name} {contestant} {repeat + 1}/{wanted.repeats}: {figures['seconds']:.1f} s", flush=True)
    print(wanted.record.publish(report(wanted.record, quick=wanted.quick)))


def named(words: str) -> list[str]:
    """The contestants that `tutorial,expert` or `a,c` stands for.

    Raises:
        ArgumentTypeError: nobody is called so.
    """
    names = [LETTERS.get(word, word) for word in words.split(",") if word]
    for name in names:
        if name not in CONTESTANTS:
            raise argparse.ArgumentTypeError(f"nobody is called '{name}'; {did_you_mean(name, CONTESTANTS)}")
    return names


def _turn(scenario: Scenario, args: argparse.Namespace, repeat: int) -> list[str]:
    """The contestants in the order of one repeat: everybody comes first once in a while."""
    given = [name for words in args.contestants or () for name in words]
    names = list(dict.fromkeys(given)) or list(scenario.contestants)
    return names[repeat % len(names) :] + names[: repeat % len(names)]


def _key(scenario: Scenario, contestant: str, repeat: int) -> dict[str, Any]:
    return {"scenario": scenario.name, "contestant": contestant, "repeat": repeat, "code": code_of(contestant)}


def _seconds(wanted: Asked, scenario: Scenario, contestant: str) -> float:
    """How long a run will take: as the last one did, else from a rehearsal of some batches."""
    known = wanted.record.find(scenario=scenario.name, contestant=contestant)
    if known:
        return float(known["seconds"])
    policies = listed(scenario, quick=wanted.quick)
    everything = len(policies) * scenario.epochs
    if contestant.startswith("tutorial"):
        return start_seconds() + everything * epoch_seconds("tutorial", scenario, wanted.data_dir)
    epochs = distinct_epochs(policies, scenario.epochs) if contestant in ("prunesearch", "fast") else everything
    return start_seconds() + epochs * epoch_seconds("expert", scenario, wanted.data_dir) / 2


def report(record: Record, *, quick: bool = False) -> str:
    """The tables of all scenarios that have runs."""
    parts = []
    for scenario in SCENARIOS.values():
        runs = {c: [r for r in record.runs if r["scenario"] == scenario.name and r["contestant"] == c] for c in CONTESTANTS}
        runs = {c: found for c, found in runs.items() if found}
        if runs:
            policies = listed(scenario, quick=quick)
            about = f"### {scenario.name}\n\n{scenario.about}; {len(policies)} policies, {scenario.epochs} epochs."
            parts += [about, _times(runs), remarks(runs), _epochs(runs), _equal(runs), agreement(runs, policies)]
    return "\n\n".join(filter(None, parts))


def _times(runs: Mapping[str, list[Run]]) -> str:
    """Seconds, and how many times as fast as whom: what two took in the same repeat is compared, repeat by repeat."""
    shown = dict(runs)
    if "fast" in runs:
        shown["fast, its front not measured again"] = [{**r, "seconds": r["before"]} for r in runs["fast"]]
    bars = [c for c in _BARS if c in runs]
    head = ["", "runs", "seconds, median (span)", *(f"times {c}, median (span)" for c in bars)]
    rows = []
    for contestant, found in shown.items():
        times = [middle(r) if (r := ratios(runs[c], found)) else "-" for c in bars]
        rows.append([contestant, str(len(found)), middle([float(r["seconds"]) for r in found]), *times])
    return table(head, rows)


def ratios(runs: Sequence[Run], others: Sequence[Run]) -> list[float]:
    """How many times as long `runs` took as `others`, for every repeat that both have."""
    seconds = {r["repeat"]: float(r["seconds"]) for r in others}
    return [float(r["seconds"]) / seconds[r["repeat"]] for r in runs if r["repeat"] in seconds]


def _epochs(runs: Mapping[str, list[Run]]) -> str:
    """What sharing saved, and the bound."""
    lines = []
    for contestant in _OURS:
        found = runs.get(contestant, [])
        if not found:
            continue
        trained, wanted = (_whole(found, what) for what in ("trained", "asked"))
        each = [float(r["epoch_seconds"]) for r in found]
        figures = (each, [ideal_seconds(r) for r in found], [over_ideal(r) for r in found])
        second, ideal, over = map(middle, figures)
        many = "one run" if len(found) == 1 else f"medians of {len(found)} runs, and their spans"
        lines.append(
            f"{contestant}: {trained} of {wanted} epochs trained, each {second} s, validation included; two workers that do "
            f"nothing else need {ideal} s, it took {over} times as long ({many})."
        )
        if "again" in found[0]:
            lines.append(f"Then {_whole(found, 'again')} networks were trained again in exact, the dense one among them.")
    return "\n".join(lines)


def _whole(runs: Sequence[Run], what: str) -> str:
    """A count that runs have: `140`, or `5 to 10`."""
    low, high = (pick(int(r[what]) for r in runs) for pick in (min, max))
    return str(low) if low == high else f"{low} to {high}"


def ideal_seconds(run: Run) -> float:
    """Seconds that two workers need who do nothing but train a run's epochs and validate after each."""
    return float(run["trained"] * run["epoch_seconds"] / 2)


def over_ideal(run: Run) -> float:
    """How many times as long it took; without what is measured again in exact numerics."""
    return float(run["before"] if "before" in run else run["seconds"]) / ideal_seconds(run)


def _equal(runs: Mapping[str, list[Run]]) -> str:
    """Whether sharing changed anything."""
    alone = {r["repeat"]: r["rows"] for r in runs.get("unshared", [])}
    pairs = [pair for r in runs.get("prunesearch", []) for pair in zip(r["rows"], alone.get(r["repeat"], []), strict=False)]
    if not pairs:
        return ""
    same = sum(one == other for one, other in pairs)
    return (
        f"prunesearch and unshared give the same accuracies and parameters, to the last bit, for {same} of {len(pairs)} trials."
    )


if __name__ == "__main__":
    main()

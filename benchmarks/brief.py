"""The README's words on speed, from what `peers`, `scaling` and `growth` have on record; measures nothing.

`python -m benchmarks results_page` puts them there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from types import MappingProxyType

from benchmarks.adaptive import MINUTES, SEARCHERS, standing
from benchmarks.machine import in_words
from benchmarks.proof.searches import stored
from benchmarks.proof.words import MIB, load_words
from benchmarks.race import ratios
from benchmarks.record import Run, digits
from benchmarks.scaling import scaled
from benchmarks.scenarios import SCENARIOS, Scenario
from prunesearch.report.words import number, times
from prunesearch.schedules.markdown import table

OURS = "prunesearch"
WHO: Mapping[str, str] = MappingProxyType(
    {
        "tutorial": "tutorial",
        "tutorial2": "tutorial, `n_jobs=2`",
        "expert": "expert's script",
        "tuned": "expert's script, fused Adam",
        OURS: "**prunesearch**",
        "fast": "**`--numerics fast`**",
    }
)
"""Contestant -> what the README calls it, in the order of its columns."""


def speed() -> str:
    """A table of who takes how long, and sentences on workers, sharing and memory; empty while nothing was measured."""
    runs = [run for run in stored("peers") if run["contestant"] in WHO]
    names = [name for name in SCENARIOS if any(_of(runs, name, OURS))]
    if not names:
        return ""
    ran = [who for who in WHO if any(_of(runs, name, who) for name in names)]
    head = ["24 policies on", *(WHO[who] for who in ran)]
    rows = [[_about(SCENARIOS[name]), *(_seconds(_of(runs, name, who), _of(runs, name, OURS)) for who in ran)] for name in names]
    parts = [
        table(head, rows),
        _origin(runs),
        _equal_time(stored("adaptive")),
        _workers(stored("scaling")) + _growth(stored("growth")),
    ]
    return "\n\n".join(filter(None, parts)).strip()


def _about(scenario: Scenario) -> str:
    """The network and how many pictures of what: `LeNet-5 on MNIST, 10,000 images`."""
    return re.split(r", (?!\d)", scenario.about)[0]


def _of(runs: Sequence[Run], scenario: str, who: str) -> list[Run]:
    return [r for r in runs if (r["scenario"], r["contestant"]) == (scenario, who)]


def _seconds(found: Sequence[Run], ours: Sequence[Run]) -> str:
    """`1,420 s (15.7x)`: the median, and how many times as long as prunesearch took in the same repeat."""
    if not found:
        return "-"
    took, compared = f"{number(round(median(float(r['seconds']) for r in found)))} s", ratios(found, ours)
    if not compared or found == ours:
        return took
    once = ", one run" if len(compared) == 1 else ""
    return f"{took} ({times(median(compared))}{once})"


def _origin(runs: Sequence[Run]) -> str:
    counts = Counter((r["scenario"], r["contestant"]) for r in runs).values()
    low, high = min(counts), max(counts)
    repeats = "one run each" if high == 1 else f"medians of {high if low == high else f'{low} to {high}'} runs"
    dates, about = sorted(r["date"] for r in runs), in_words(runs[-1]["machine"])
    return f"*`python -m benchmarks peers`, {repeats}; {dates[0]} to {dates[-1]}, {load_words(runs)}. {about}.*"


def _equal_time(runs: Sequence[Run]) -> str:
    """What searches of equal length find; empty until both searchers ran."""
    mine = [r for r in runs if r["scenario"] == "lenet300" and r["minutes"] == MINUTES[-1]]
    if {r["contestant"] for r in mine} != set(SEARCHERS):
        return ""
    dense = next(r["dense"] for r in mine if "dense" in r)
    found = {who: [standing(mine, who, after, dense) for after in MINUTES] for who in SEARCHERS}
    trials = {who: _listed(f"{count:.0f}" for count, _ in each) for who, each in found.items()}
    volume = {who: _listed(f"{fmean(v for _, v in volumes):.2f}" for _, volumes in each) for who, each in found.items()}
    return (
        "*Searches of equal length* on LeNet-300-100, the same space and sampler (TPE); prunesearch begins with known good "
        "policies, the expert's script, with fused Adam, with random ones. "
        f"After {_listed(map(str, MINUTES))} minutes prunesearch had run {trials[OURS]} trials, the script {trials['expert']}. "
        "The share of the region of interest (at most 5 points below dense, "
        "parameters on a logarithmic axis down to 1 %) that the front dominates on test data was "
        f"{volume[OURS]} against {volume['expert']}; means over {len(mine) // 2} seeds "
        "(`python -m benchmarks adaptive`, curves in [benchmarks/RESULTS.md](benchmarks/RESULTS.md))."
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"


def _workers(runs: Sequence[Run]) -> str:
    found = [r for r in runs if r["scenario"] == "lenet300"]
    if not found:
        return ""
    most = scaled(found)[-1]
    return (
        f"The list on LeNet-300-100 is {digits(most.times)} times as fast with {most.workers} workers as with one, and takes "
        f"{most.over - 1:.0%} longer than its training epochs alone would (`python -m benchmarks scaling`). "
    )


def _growth(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    few, most = (pick(runs, key=lambda r: int(r["trials"])) for pick in (min, max))
    idle = [run["run"]["overhead"] for run in (most, few)]
    shared = 1 - most["trained"] / most["asked"]
    return (
        f"An adaptive search of {most['trials']} trials on LeNet-300-100 takes {digits(most['seconds'] / most['trials'])} s per "
        f"trial, {shared:.0%} of all epochs shared; driver and two workers hold {number(round(most['peak'] / MIB))} MiB together "
        f"at most, the store {number(round(most['store'] / MIB))} MiB. {idle[0]:.0%} of the workers' time went into neither "
        f"training nor evaluation; {idle[1]:.0%} with {few['trials']} trials, start-up and the end, where one waits for "
        f"the other, included (`python -m benchmarks growth`)."
    )

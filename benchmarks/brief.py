"""The README's words on speed, from what `peers`, `adaptive`, `scaling` and `growth` have on record; measures nothing.

`python -m benchmarks results_page` puts them there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from types import MappingProxyType

from benchmarks.adaptive import ALIKE, COUNTED, MINUTES, SEARCHERS, boxed, searched, standing
from benchmarks.goals import OVER
from benchmarks.growth import MEMORY
from benchmarks.machine import in_words
from benchmarks.proof.searches import stored
from benchmarks.proof.words import MIB, load_words
from benchmarks.race import over_ideal, ratios
from benchmarks.record import Run, counted, days, digits, middle, newest
from benchmarks.remarks import UNTUNED
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
    peers = stored("peers")
    names = [name for name in SCENARIOS if any(_of(peers, name, OURS))]
    if not names:
        return ""
    runs = [run for run in peers if run["contestant"] in WHO and run["scenario"] in names]
    ran = [who for who in WHO if any(_of(runs, name, who) for name in names)]
    head = ["24 policies on", *(WHO[who] for who in ran), "measured"]
    parts = [
        table(head, [_row(runs, name, ran) for name in names]),
        _missing(peers, names),
        _origin(runs),
        _equal_time(stored("adaptive")),
        _workers(newest(stored("scaling"))),
        _over(_of(runs, "lenet300", OURS)),
        _growth(stored("growth")),
    ]
    return "\n\n".join(filter(None, parts))


def _row(runs: Sequence[Run], name: str, ran: Iterable[str]) -> list[str]:
    """One network: who took how long, and when that was measured."""
    ours = _of(runs, name, OURS)
    taken = [_seconds(_of(runs, name, who), ours) for who in ran]
    return [_about(SCENARIOS[name]), *taken, days(r for r in runs if r["scenario"] == name)]


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


def _missing(peers: Sequence[Run], names: Iterable[str]) -> str:
    """On which networks nobody ran who has what prunesearch has, and where it was not run without sharing."""
    told = {"tuned": f"the peers are {UNTUNED}", "unshared": "prunesearch was not run without sharing"}
    lacking = {who: [SCENARIOS[name].about.split()[0] for name in names if not _of(peers, name, who)] for who in told}
    return " ".join(f"On {_listed(where)} {told[who]}." for who, where in lacking.items() if where)


def _origin(runs: Sequence[Run]) -> str:
    counts = Counter((r["scenario"], r["contestant"]) for r in runs).values()
    low, high = min(counts), max(counts)
    repeats = "one run each" if high == 1 else f"medians of {high if low == high else f'{low} to {high}'} runs"
    return f"*`python -m benchmarks peers`, {repeats}; {load_words(runs)}. {in_words(runs[-1]['machine'])}.*"


def _equal_time(runs: Sequence[Run]) -> str:
    """What searches of equal length find; empty until both searchers ran."""
    mine = searched(runs, "lenet300", MINUTES[-1])
    if not mine:
        return ""
    found = {who: [standing(mine, who, after) for after in MINUTES] for who in SEARCHERS}
    trials = {who: _listed(f"{count:.0f}" for count, _ in each) for who, each in found.items()}
    volume = {who: _listed(f"{fmean(v for _, v in volumes):.2f}" for _, volumes in each) for who, each in found.items()}
    return (
        f"*Searches of equal length* on LeNet-300-100. {ALIKE} "
        f"After {_listed(map(str, MINUTES))} minutes prunesearch had run {trials[OURS]} trials, the script {trials['expert']}. "
        "The volume that the front dominates on test data in the region of interest (at most 5 points below dense, "
        f"parameters on a logarithmic axis down to 1 %) was {volume[OURS]} against {volume['expert']}; means over "
        f"{counted(len({r['seed'] for r in mine}), 'seed', 'seeds')}. {boxed(mine)} {COUNTED} "
        f"(`python -m benchmarks adaptive`, {days(mine)}; curves in [benchmarks/RESULTS.md](benchmarks/RESULTS.md))."
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _workers(runs: Sequence[Run]) -> str:
    """How much faster the most workers are; empty until that was measured beside fewer."""
    compared = [found for found in scaled([r for r in runs if r["scenario"] == "lenet300"])[1:] if found.times]
    if not compared:
        return ""
    most = compared[-1]
    return (
        f"The list on LeNet-300-100 is {middle(most.times)} times as fast with {most.workers} workers as with one, repeat by "
        f"repeat (`python -m benchmarks scaling`, {counted(len(most.times))} of each, {days(most.runs)})."
    )


def _over(runs: Sequence[Run]) -> str:
    """How far the race's searches on LeNet-300-100 are from the bound; empty without any."""
    if not runs:
        return ""
    over = [over_ideal(r) for r in runs]
    span = f"{min(over) - 1:.0%} to {max(over) - 1:.0%}, " if len(over) > 1 else ""
    verdict = "reached" if median(over) <= OVER else "missed"
    return (
        f"In the table above prunesearch takes {median(over) - 1:.0%} longer ({span}{counted(len(over))}) on LeNet-300-100 than "
        "its epochs, validation included, would on two workers that do nothing else; the goal of at most "
        f"{OVER - 1:.0%} was {verdict}."
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
        f"at most, the store {number(round(most['store'] / MIB))} MiB. {MEMORY} {idle[0]:.0%} of the workers' time went into "
        f"neither training nor evaluation; {idle[1]:.0%} with {few['trials']} trials, start-up and the end, where one waits for "
        f"the other, included (`python -m benchmarks growth`, one run each, {days(runs)})."
    )

"""What must be known beside the times of a race: who was not run, of which code and of which days runs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from benchmarks.machine import when
from benchmarks.record import Run

Runs = Mapping[str, Sequence[Run]]
"""Contestant -> its runs on one network, at least one."""
UNTUNED = "without channels_last and the fused optimiser, which prunesearch uses"
"""What peers other than `tuned` are."""
PASS = 2.0
"""Hours between the ends of two runs of one repeat, up to which they count as made in one pass."""


def remarks(runs: Runs) -> str:
    """One line each; empty where there is nothing to remark."""
    return "\n".join(filter(None, [_missing(runs), versions(runs), _apart(runs), _between(runs)]))


def _missing(runs: Runs) -> str:
    """What was not run, and what follows for the comparison; empty where `expert`, `tuned` and `unshared` ran."""
    peer = "The expert's script" if "expert" in runs else "The tutorial"
    told = {
        "expert": "The expert's script was not run.",
        "tuned": f"{peer} is {UNTUNED}.",
        "unshared": "prunesearch was not run without sharing.",
    }
    return " ".join(words for contestant, words in told.items() if contestant not in runs)


def versions(runs: Runs) -> str:
    """Whose runs are not all of the same code; empty where everybody's are."""
    codes = {contestant: len({r["code"] for r in found}) for contestant, found in runs.items()}
    return " ".join(f"The runs of {who} are of {count} versions of its code." for who, count in codes.items() if count > 1)


def _apart(runs: Runs) -> str:
    """Who ran long before or after prunesearch ran in the same repeat; empty where everybody ran in one pass."""
    ours = {r["repeat"]: when(r) for r in runs.get("prunesearch", [])}
    far = []
    for contestant, found in runs.items():
        hours = [abs(when(r) - ours[r["repeat"]]).total_seconds() / 3600 for r in found if r["repeat"] in ours]
        if hours and max(hours) > PASS:
            far.append(f"{contestant} ({max(hours):.1f} h)")
    if not far:
        return ""
    return (
        f"Not made in one pass with prunesearch, up to so long before or after it: {', '.join(far)}. The machine is not equally "
        "fast at all hours and on all days, and their ratios carry that too."
    )


def _between(runs: Runs) -> str:
    """That repeats are of different days, and who shows best what the machine is then; empty where they are of one day."""
    far = {who: found for who, found in runs.items() if max(map(when, found)) - min(map(when, found)) > timedelta(days=1)}
    if not far:
        return ""
    took = {who: [float(r["seconds"]) for r in found] for who, found in far.items() if len({r["code"] for r in found}) == 1}
    if not took:
        return "Repeats were made on different days."
    who, seconds = max(took.items(), key=lambda item: max(item[1]) / min(item[1]))
    return (
        f"Repeats were made on different days, on which the machine may differ in speed: {who}, with the same code, took "
        f"{min(seconds):.0f} to {max(seconds):.0f} s."
    )

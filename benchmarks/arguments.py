"""What all benchmarks take on the command line, and what they say before they begin."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import busy
from benchmarks.record import Record
from benchmarks.scenarios import QUICK, REAL, SCENARIOS, Scenario


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Args:
        scenarios: what is measured on.
        repeats: how often.
        quick: a size that takes seconds; nothing is published.
        data_dir: torchvision root.
        record: where runs are kept.
    """

    scenarios: tuple[Scenario, ...]
    repeats: int
    quick: bool
    data_dir: str | None
    record: Record


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments that all benchmarks share."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), help="which ones; default: those of the benchmark")
    made.add_argument("--repeats", type=int, default=3, help="medians are taken over so many (3)")
    made.add_argument("--quick", action="store_true", help="digits, few policies, one repeat: does it work? Publishes nothing")
    made.add_argument("--data-dir", default=os.environ.get("PRUNESEARCH_DATA"), help="folder of MNIST and Fashion-MNIST")
    made.add_argument("--to", help="folder of results/ and RESULTS.md (benchmarks/, with --quick a temporary one)")
    made.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    return made


def asked(name: str, args: argparse.Namespace, scenarios: Iterable[str] = REAL) -> Asked:
    """What the arguments mean for benchmark `name`, whose scenarios are `scenarios` unless told otherwise."""
    names = args.scenario or ([QUICK] if args.quick else list(scenarios))
    usual = tempfile.mkdtemp(prefix="prunesearch-bench-") if args.quick else Path(__file__).parent
    record = Record(name, Path(args.to or usual), fresh=args.fresh)
    repeats = 1 if args.quick else args.repeats
    return Asked(tuple(SCENARIOS[n] for n in names), repeats, args.quick, args.data_dir, record)


def announce(what: str, seconds: float) -> None:
    """Say how long it will take, and whether the machine is quiet enough."""
    print(f"{what}: about {in_minutes(seconds)}", flush=True)
    warning = busy()
    if warning:
        print(f"warning: {warning}", flush=True)


def in_minutes(seconds: float) -> str:
    """`40 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

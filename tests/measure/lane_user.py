"""One of several processes that share a device: `lane_user.py VERB FOLDER`; prints a line when it has it.

work: trains, with a checkpoint every millisecond, until its input ends. stuck: has the device and never looks up.
parent: is stuck, beside a forked child that sleeps for ten seconds.
alone: has the device to itself until its input ends. measure: has it to itself 20 times and counts others who write into
the folder at the same time.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from prunesearch.measure.lane import Lane


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def work(lane: Lane, folder: Path) -> None:
    """Appends to a file while it has the device, and never while somebody has it alone."""
    with lane.working(), (folder / "steps").open("ab", buffering=0) as steps:
        say("working")
        while not select.select([sys.stdin], [], [], 0)[0]:
            steps.write(b".")
            time.sleep(0.001)
            lane.checkpoint()
    say(f"waited {lane.waited:.3f}")


def alone(lane: Lane, folder: Path) -> None:
    with lane.alone():
        say("alone")
        sys.stdin.read()


def stuck(lane: Lane, folder: Path) -> None:
    with lane.working():
        say("working")
        sys.stdin.read()


def parent(lane: Lane, folder: Path) -> None:
    with lane.working():
        if os.fork() == 0:
            time.sleep(10)
            os._exit(0)
        say("working")
        sys.stdin.read()


def measure(lane: Lane, folder: Path) -> None:
    steps, disturbed, longest = folder / "steps", 0, 0.0
    for _ in range(20):
        began = time.perf_counter()
        with lane.alone():
            longest = max(longest, time.perf_counter() - began)
            (folder / "measuring").touch(exist_ok=False)  # fails where two are alone at once
            before = steps.stat().st_size
            time.sleep(0.01)
            disturbed += steps.stat().st_size - before
            (folder / "measuring").unlink()
        time.sleep(0.005)
    say(f"{disturbed} {longest:.3f} {len(lane.notes)}")


if __name__ == "__main__":
    place = Path(sys.argv[2])
    globals()[sys.argv[1]](Lane("cpu", folder=place / "locks"), place)

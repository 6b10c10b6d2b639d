"""How many workers a GPU is best shared by: the throughput of 1, 2 and 4 of them, measured while all train at once.

A tiny network leaves a GPU idle between its kernels, which another process can use; a large one does not. Not measured on a
GPU yet: on the CPU, where the tests run it, the same measurement shows what processes that share cores do to each other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from prunesearch.engines.fleet import Fleet, FleetClosed

COUNTS = (1, 2, 4)
"""Numbers of workers that are tried, ascending."""
SECONDS = 2.0
"""Seconds of training that each number is measured for."""
GAIN = 1.1
"""How much more throughput further workers must give: each takes memory of GPU and host, and a core."""

log = logging.getLogger("prunesearch.engines")


def best_count(measured: Mapping[int, float]) -> int:
    """The number of workers to share one device.

    Args:
        measured: workers -> batches per second of all of them together.

    Returns:
        The fewest than which no larger number gives `GAIN` times the throughput; 1 where nothing was measured.
    """
    good = (n for n in measured if all(measured[more] <= GAIN * measured[n] for more in measured if more > n))
    return min(good, default=1)


def calibrate(fleet: Fleet, device: str, counts: Sequence[int] = COUNTS, seconds: float = SECONDS) -> dict[int, float]:
    """Batches per second of all workers together, by the number of workers that train at once on one device.

    A number for which there is not enough memory, or at which throughput no longer grows, ends the measurement.

    Args:
        fleet: workers for this alone; all of them are ended afterwards.
        device: what they share.
        counts: numbers to try, ascending.
        seconds: to measure each for.

    Raises:
        FleetClosed: the engine was closed meanwhile.
    """
    measured: dict[int, float] = {}
    try:
        for count in counts:
            measured[count] = _throughput(fleet, device, count, seconds)
            if best_count(measured) < count:
                break
    except FleetClosed:
        raise
    except Exception as problem:  # noqa: BLE001 - out of memory, mostly; what is wrong with the task itself is told when it loads
        log.info("no measurement beyond %d workers on %s: %s", max(measured, default=0), device, problem)
    finally:
        fleet.close()
        fleet.bury()
    log.info("workers on %s: %s batches per second", device, {n: round(rate) for n, rate in measured.items()})
    return measured


def _throughput(fleet: Fleet, device: str, count: int, seconds: float) -> float:
    with ThreadPoolExecutor(count) as pool:
        paced = partial(fleet.ask, device=device)
        list(pool.map(lambda i: paced(i, request=("pace", 0.0)), range(count)))  # load the task, warm up
        return float(sum(pool.map(lambda i: paced(i, request=("pace", seconds)), range(count))))

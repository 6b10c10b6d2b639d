"""Who holds a ticket: names of drivers, and whether the one that a name means still runs. No Optuna, for `status` asks too."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

RELEASED = "released"
"""Owner of the tickets of unfinished trials that a driver left in an orderly way: anybody may go on with them."""

Life = Literal["alive", "dead", "unknown"]
"""Whether a driver still runs; of one on another host nobody here knows."""


def owner_name() -> str:
    """Who drives: host, process, when that began, thread, and where processes have these numbers; unique as long as it runs."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.0f}/{threading.get_native_id()}/{_numbering()}"


def life_of(owner: str | None) -> Life:
    """Whether a driver still runs: of other hosts it is unknown, and an earlier run in this very thread is over.

    Hosts of equal names are told apart by `_numbering`, but for owners that an earlier version named.
    """
    if owner in (None, RELEASED) or owner == owner_name():
        return "dead"
    host, *rest = str(owner).split("/")
    if len(rest) < 3 or host != socket.gethostname() or rest[3:] not in ([], [_numbering()]):
        return "unknown"
    pid, began, thread = (int(float(part)) for part in rest[:3])
    return "alive" if _runs(pid, began, thread) else "dead"


def _numbering() -> str:
    """What tells apart clones of a machine, and containers under one name: this boot, and the space of process numbers."""
    boot = space = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    return f"{boot}:{space}"


def _runs(pid: int, began: int, thread: int) -> bool:
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - began) > 2.0 or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return pid != os.getpid() or any(t.id == thread for t in process.threads())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True

"""A serial search that is killed at chosen points, again and again, until it gets through. Run as a program.

    python -m tests.search.chaos FOLDER TRIALS SAMPLER POINT,POINT,... [POINT,...]

Each list of points is one study in a database of its own: the first call dies at the first point, and so on; the last
one is let through. A point counts database statements and commits of that call; `s3` is right after the third trial was
handed to the engine, `t250` after so many milliseconds. What was started is written, line by line, into FOLDER/N.log.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine as SqlEngine

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.search.driver import run_search
from prunesearch.search.events import Event, TrialStarted
from prunesearch.spec import StudySpec
from prunesearch.store import Store

KILLED = 9


def die_at(point: str) -> None:
    """Arrange for this process to end at once, as after `kill -9`."""
    if point.startswith("t"):
        threading.Timer(int(point[1:]) / 1000, os._exit, (KILLED,)).start()
        return
    left = [int(point)]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(KILLED)

    event.listen(SqlEngine, "before_cursor_execute", count)
    event.listen(SqlEngine, "commit", count)


def search(folder: Path, case: int, trials: int, sampler: str, point: str) -> None:
    """One call of the search."""
    left = [int(point[1:]) if point.startswith("s") else -1]
    spec = StudySpec.parse({"name": "s", "task": "digits-mlp", "trials": trials, "sampler": sampler, "engine": "serial"})
    log = (folder / f"{case}.log").open("a", buffering=1)

    def note(news: Event) -> None:
        if isinstance(news, TrialStarted):
            log.write(f"{news.number} {news.ticket} {news.policy.digest} {int(news.again)}\n")
            left[0] -= 1
            if left[0] == 0:
                os._exit(KILLED)

    fake = FakeEngine(EngineSpec(spec.task, workers=1), seconds=0.005)
    with Store.open(f"sqlite:///{folder / f'{case}.db'}", write=True) as store, fake as engine:
        run_search(spec, store, engine, listener=note, home=folder / "home")


def survive(folder: Path, case: int, trials: int, sampler: str, points: list[str]) -> None:
    """Fork a call for every point, and one more that is let through."""
    for point in (*points, ""):
        child = os.fork()
        if child == 0:
            if point and not point.startswith("s"):
                die_at(point)
            search(folder, case, trials, sampler, point)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, KILLED):
            raise SystemExit(f"case {case}, point {point or 'none'}: status {status}")


if __name__ == "__main__":
    where, count, kind = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for number, listed in enumerate(sys.argv[4:]):
        survive(where, number, count, kind, [p for p in listed.split(",") if p != "-"])

"""Ctrl-C and SIGTERM: at once while waiting, between two steps otherwise, and the study goes on afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from prunesearch.engines import fake
from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.results import Job, Outcome
from prunesearch.search.events import TrialStarted
from prunesearch.search.signals import Interrupted, StopFlag
from prunesearch.store import Store
from tests.search.conftest import Bench
from tests.search.parts import spec

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminate")])
def test_a_signal_is_noted_and_interrupts_only_waiting(number: signal.Signals, reason: str) -> None:
    before = signal.getsignal(number)
    with StopFlag() as flag:
        with pytest.raises(Interrupted), flag.interruptible():
            signal.raise_signal(number)
        assert flag.reason == reason
        assert signal.getsignal(number) == before  # the second one does what it would have done without us
        entered = []
        with pytest.raises(Interrupted), flag.interruptible():
            entered.append("although a signal has come already")
        assert not entered
    assert signal.getsignal(number) == before


def test_between_two_steps_nothing_is_torn_apart() -> None:
    with StopFlag() as flag:
        signal.raise_signal(signal.SIGINT)
        assert flag.reason == "interrupt"


def test_outside_the_main_thread_it_listens_to_nothing() -> None:
    found: list[str | None] = []

    def run() -> None:
        with StopFlag() as flag, flag.interruptible():
            found.append(flag.reason)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]


class Pressed(FakeEngine):
    """Ctrl-C in the wait after trial 3 was handed over."""

    last = -1

    def submit(self, job: Job) -> None:
        super().submit(job)
        self.last = job.number

    def next(self, timeout: float | None = None) -> Outcome | None:
        if timeout and self.last == 3:
            signal.raise_signal(signal.SIGINT)
        return super().next(timeout)


def test_what_the_engine_has_finished_at_ctrl_c_is_recorded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "_SLOW", 10_000)  # trial 3 has not finished, and trial 2 has
    said = spec(trials=6, workers=2)
    first = bench.search(said, engine=Pressed(EngineSpec(said.task, workers=2), faults={3: ["slow"]}))
    assert (first.stopped, first.done) == ("interrupt", 3)
    assert [t.state for t in bench.store.tickets("s")] == ["done", "done", "done", "taken"]
    assert bench.search(said).done == 6
    assert [e.number for e in bench.told(TrialStarted) if e.again] == [3]


SEARCH = """
import sys
from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.search.driver import run_search
from prunesearch.search.events import TrialStarted
from prunesearch.spec import StudySpec
from prunesearch.store import Store

def told(event):
    if isinstance(event, TrialStarted):
        print(event.number, event.ticket, event.policy.digest, flush=True)

spec = StudySpec.parse({"name": "s", "task": "digits-mlp", "trials": 6, "workers": 2})
fake = FakeEngine(EngineSpec(spec.task, workers=2), seconds=float(sys.argv[2]))
with Store.open(sys.argv[1], write=True) as store, fake as engine:
    print("stopped", run_search(spec, store, engine, listener=told, home=sys.argv[3]).stopped, flush=True)
"""


def lines(tmp_path: Path, seconds: float, stop: signal.Signals | None = None) -> list[str]:
    """What the program printed; with `stop`, it got the signal once three trials had been started."""
    command = [sys.executable, "-c", SEARCH, f"sqlite:///{tmp_path / 's.db'}", str(seconds), str(tmp_path)]
    found = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            found.append(line.strip())
            if stop and len(found) == 3:
                time.sleep(0.2)
                child.send_signal(stop)
    assert child.returncode == 0
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "reason"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminate")])
def test_a_search_stops_cleanly_and_goes_on(tmp_path: Path, stop: signal.Signals, reason: str) -> None:
    began = time.monotonic()
    first = lines(tmp_path, 1.0, stop)
    assert first[-1] == f"stopped {reason}"
    assert time.monotonic() - began < 60
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        unfinished = {r.number for r in store.running("s")}
        assert unfinished
        assert {t.trial for t in store.tickets("s") if t.state == "taken"} == unfinished
    second = lines(tmp_path, 0.0)
    assert second[-1] == "stopped None"
    assert {line for line in first[:-1] if int(line.split()[0]) in unfinished} <= set(second)
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        assert [t.state for t in store.tickets("s")] == ["done"] * 6
        assert sorted(r.ticket for r in store.trials("s") if r.ticket is not None) == list(range(6))

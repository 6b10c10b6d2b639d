"""kill -9 in the middle of a real search with real workers, on SQLite and on PostgreSQL: nothing is lost or counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from prunesearch.errors import PrunesearchError
from prunesearch.store import Store, TrialRecord

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
name: killed
task: iris-mlp
epochs: 6
trials: 12
objectives: [accuracy, params]
space: {granularity: [weight, neuron], function: [one_shot_static, gradual]}
workers: 2
"""


def search(url: str, folder: Path) -> subprocess.Popen[str]:
    (folder / "killed.yaml").write_text(STUDY)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNESEARCH_STORE": url}
    code = [sys.executable, "-m", "prunesearch", "search", "killed.yaml"]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=folder)


def records(url: str) -> list[TrialRecord]:
    try:
        with Store.open(url) as store:
            return store.trials("killed")
    except PrunesearchError:
        return []


def wait_for(url: str, process: subprocess.Popen[str], ended: int) -> None:
    """Until so many trials have a result."""
    deadline = time.monotonic() + 120
    while sum(r.measures is not None for r in records(url)) < ended and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [p for p in psutil.Process(process.pid).children(recursive=True) if p.is_running()]


def assert_whole(url: str, before: list[TrialRecord]) -> None:
    """Twelve trials with a result each, one number each; what had a result before has the same one."""
    after = {r.number: r for r in records(url)}
    complete = [r for r in after.values() if r.measures is not None]
    assert len(complete) == 12
    assert len({r.ticket for r in complete}) == 12
    assert all(r.epochs_trained <= 6 for r in complete)
    for record in before:
        assert after[record.number].measures == record.measures
        assert after[record.number].digest == record.digest


@pytest.mark.slow
def test_a_killed_driver_leaves_a_store_that_the_same_command_goes_on_with(url: str, tmp_path: Path) -> None:
    process = search(url, tmp_path)
    wait_for(url, process, 3)
    orphans = workers(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = [r for r in records(url) if r.measures is not None]
    assert len(before) >= 3
    assert orphans
    _, alive = psutil.wait_procs(orphans, timeout=20)
    assert not alive  # workers end with their driver
    again = search(url, tmp_path)
    told = again.communicate(timeout=150)[0]
    assert again.returncode == 0, told
    assert_whole(url, before)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_run_again(sqlite_url: str, tmp_path: Path) -> None:
    url = sqlite_url
    process = search(url, tmp_path)
    wait_for(url, process, 2)
    before = [r for r in records(url) if r.measures is not None]
    victims = [p for p in workers(process) if p.cpu_times().user > 0.5]
    os.kill(victims[0].pid, signal.SIGKILL)
    told = process.communicate(timeout=150)[0]
    assert process.returncode == 0, told
    assert_whole(url, before)

"""The process engine when workers die, print, warn and fork, and when the parent dies."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from prunesearch.engines import Engine, EngineSpec, open_engine
from prunesearch.engines.fleet import Fleet
from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.results import Outcome
from tests.engines.contract import drain, job

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TASK = str(HERE / "mischief.py")


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that tells the task what to do; the driver itself may use four threads."""
    path = tmp_path_factory.mktemp("orders") / "mischief"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MISCHIEF", str(path))
        patch.setenv("OMP_NUM_THREADS", "4")
        yield path


@pytest.fixture(scope="module")
def engine(order: Path) -> Iterator[Engine]:
    """One worker with the task that makes mischief."""
    with open_engine("process", EngineSpec(f"{TASK}:make_task", device="cpu", workers=1)) as engine:
        yield engine


def told(engine: Engine, order: Path, deed: str) -> Outcome:
    """What comes back for a job whose training does `deed`."""
    order.write_text(deed)
    engine.submit(job(1))
    return drain(engine, 1)[0]


def runs_well(engine: Engine, order: Path) -> bool:
    outcome = told(engine, order, "")
    return outcome.result is not None and outcome.result.state == "complete"


def ended(pid: int, within: float) -> bool:
    """Whether a process is gone, or only waits to be buried, before so many seconds have passed."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("segfault", "was killed by SIGSEGV; it said: Fatal Python error: Segmentation fault"),
        ("kill", "was killed by SIGKILL, by the system when memory runs out, or by hand"),
    ],
)
def test_a_dead_worker_loses_its_job_with_a_reason_and_is_replaced(engine: Engine, order: Path, deed: str, reason: str) -> None:
    engine.describe()
    outcome = told(engine, order, deed)
    assert outcome.result is None
    assert reason in str(outcome.lost)
    assert runs_well(engine, order)


def test_a_death_is_noticed_though_a_forked_child_lives_on(engine: Engine, order: Path) -> None:
    assert runs_well(engine, order)
    began = time.perf_counter()
    outcome = told(engine, order, "kill beside a child")
    assert outcome.lost is not None
    assert time.perf_counter() - began < 3  # the child sleeps for 20 s
    assert runs_well(engine, order)


def test_a_worker_that_died_idle_costs_no_job(engine: Engine, order: Path) -> None:
    assert runs_well(engine, order)
    children = psutil.Process().children()
    for child in children:
        child.kill()
    assert children
    assert runs_well(engine, order)


def test_ctrl_c_does_not_reach_workers(engine: Engine, order: Path) -> None:
    outcome = told(engine, order, "interrupt")
    assert outcome.lost is None and outcome.result is not None
    assert outcome.result.state == "complete"


def test_what_users_print_disturbs_nobody(engine: Engine, order: Path) -> None:
    outcome = told(engine, order, "print")
    assert outcome.result is not None and outcome.result.state == "complete"


def test_warnings_reach_the_log_once_and_threads_are_one(engine: Engine, order: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="prunesearch.engines"):
        for _ in range(2):
            assert told(engine, order, "warn").result is not None
    found = [r for r in caplog.records if "OMP_NUM_THREADS is 1" in r.getMessage()]
    assert len(found) == 1
    assert found[0].levelno == logging.WARNING


def test_a_worker_whose_gpu_answers_no_more_is_replaced_between_two_jobs(
    engine: Engine, order: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The job that broke it has a result; the next is not lost to it."""
    assert runs_well(engine, order)
    with caplog.at_level(logging.WARNING, logger="prunesearch.engines"):
        outcome = told(engine, order, "break")
        assert outcome.result is not None
        assert (outcome.result.state, outcome.result.outside) == ("failed", True)
        assert runs_well(engine, order)
    assert "the GPU does not answer this process any more" in caplog.text


def test_a_worker_does_not_go_on_with_a_task_that_has_changed(order: Path) -> None:
    rate = order.with_name("rate")
    rate.write_text("0.05")
    with open_engine("process", EngineSpec(f"{TASK}:changing", device="cpu", workers=1)) as engine:
        assert runs_well(engine, order)
        for change in ("0.05", "0.01"):
            rate.write_text(change)
            for child in psutil.Process().children():
                child.kill()
            if change == "0.05":
                assert runs_well(engine, order)
        engine.submit(job(1))
        with pytest.raises(TaskError, match="the task is not what it was when the search began"):
            engine.next(timeout=60)


def test_workers_that_load_other_tasks_are_told_of(order: Path, caplog: pytest.LogCaptureFixture) -> None:
    fleet = Fleet(EngineSpec(f"{TASK}:changing", device="cpu", workers=2))
    with caplog.at_level(logging.WARNING, logger="prunesearch.engines"):
        for index, rate in enumerate(("0.05", "0.01")):
            order.with_name("rate").write_text(rate)
            fleet.ask(index, "cpu", "describe")
    fleet.close()
    fleet.bury()
    assert "the task is another one in every process" in caplog.text


def test_a_worker_in_which_the_task_does_not_load_leaves_the_trials_to_the_others(
    order: Path, caplog: pytest.LogCaptureFixture
) -> None:
    order.with_name("others").write_text(json.dumps([child.pid for child in psutil.Process().children()]))
    with (
        caplog.at_level(logging.WARNING, logger="prunesearch.engines"),
        open_engine("process", EngineSpec(f"{TASK}:scarce", device="cpu", workers=2)) as engine,
    ):
        for number in range(4):
            engine.submit(job(number))
        outcomes = drain(engine, 4)
    assert [o.result.state for o in outcomes if o.result] == ["complete"] * 4
    assert "takes no trials, for the task does not load in it" in caplog.text


def test_workers_that_only_die_end_the_search_with_the_reason() -> None:
    with open_engine("process", EngineSpec(f"{TASK}:doomed", device="cpu", workers=1)) as engine:
        with pytest.raises(
            EnvironmentFailure, match=r"3 workers in a row died .* exit code 3; it said: no such library: Error 42"
        ):
            engine.describe()
        engine.submit(job(1))
        with pytest.raises(EnvironmentFailure, match="3 workers in a row"):
            engine.next(timeout=60)


DRIVER = f"""
import sys
from prunesearch.engines import EngineSpec, open_engine
from prunesearch.policy import Policy
from prunesearch.results import Job

engine = open_engine("process", EngineSpec("{TASK}:slow", device="cpu", workers=1))
engine.describe()
engine.submit(Job(1, Policy.parse({{"epochs": 1}}), 1, 0))
print("torch" in sys.modules, flush=True)
engine.next()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent(order: Path, how: signal.Signals) -> None:
    """The driver is a script without a main guard; its worker is in the middle of an epoch that never ends."""
    order.unlink(missing_ok=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"False\n"  # the parent never imports torch
        until = time.monotonic() + 60
        while not order.exists() and time.monotonic() < until:
            time.sleep(0.05)
        workers = [child.pid for child in psutil.Process(driver.pid).children()]
        driver.send_signal(how)
        assert len(workers) == 1
        assert ended(driver.pid, within=10)
        assert ended(workers[0], within=5)

"""The turnstile, with real processes: who is alone is alone, and the dead hold nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prunesearch.measure.lane import Lane

HERE = Path(__file__).resolve().parent


@contextmanager
def user(verb: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of `lane_user.py`."""
    env = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    command = [sys.executable, str(HERE / "lane_user.py"), verb, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.close()
    return line(process)


def test_who_measures_is_alone_and_everybody_gets_a_turn(tmp_path: Path) -> None:
    with user("work", tmp_path) as one, user("work", tmp_path) as two:
        assert line(one) == line(two) == "working"
        with user("measure", tmp_path) as first, user("measure", tmp_path) as second:
            for process in (first, second):
                disturbed, longest, notes = line(process).split()
                assert (disturbed, notes) == ("0", "0")
                assert float(longest) < 5
        before = (tmp_path / "steps").stat().st_size
        time.sleep(0.1)
        assert (tmp_path / "steps").stat().st_size > before  # they work again
        assert finish(one).startswith("waited ") and finish(two).startswith("waited ")


@pytest.mark.parametrize("verb", ["work", "alone", "parent"])
def test_a_killed_process_holds_nothing_though_its_child_lives_on(tmp_path: Path, verb: str) -> None:
    with user(verb, tmp_path) as process:
        assert line(process) in ("working", "alone")
        process.kill()
        process.wait()
        lane = Lane("cpu", folder=tmp_path / "locks")
        with lane.alone():
            assert lane.waited < 1
        assert lane.notes == []
        lane.close()


def test_workers_wait_while_somebody_is_alone(tmp_path: Path) -> None:
    lane = Lane("cpu", folder=tmp_path / "locks")
    with user("work", tmp_path) as worker:
        assert line(worker) == "working"
        with lane.alone():
            before = (tmp_path / "steps").stat().st_size
            time.sleep(0.2)
            assert (tmp_path / "steps").stat().st_size == before
        said = finish(worker)
    assert said.startswith("waited ") and float(said.split()[1]) > 0.1
    lane.close()


def test_who_never_makes_way_is_not_waited_for_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with user("stuck", tmp_path) as process:
        assert line(process) == "working"
        lane = Lane("cpu", folder=tmp_path / "locks", patience=0.2)
        for _ in range(3):
            with lane.alone():
                pass
        assert 0.2 < lane.waited < 1  # 0.2 s, then 0.1 s each time
        assert len(lane.notes) == 1 and "did not make way for 0.2 s" in lane.notes[0]
        assert lane.notes[0] in caplog.text
        process.kill()
        process.wait()
        with lane.alone(), Lane("cpu", folder=tmp_path / "locks", patience=0.15).working():
            pass
        assert len(lane.notes) == 1
        lane.close()


def test_patience_is_lost_by_halves_and_comes_back(tmp_path: Path) -> None:
    lane = Lane("cpu", folder=tmp_path / "locks", patience=0.8)
    waits = []
    with user("stuck", tmp_path) as process:
        assert line(process) == "working"
        for _ in range(3):
            before = lane.waited
            with lane.alone():
                waits.append(lane.waited - before)
        process.kill()
        process.wait()
    assert waits == pytest.approx([0.8, 0.4, 0.2], abs=0.08)
    with lane.alone():
        pass
    with user("stuck", tmp_path) as process:
        assert line(process) == "working"
        before = lane.waited
        with lane.alone():
            assert lane.waited - before == pytest.approx(0.8, abs=0.08)
    lane.close()


def test_who_went_on_beside_a_measurement_makes_way_for_the_next(tmp_path: Path) -> None:
    worker, first, second = (Lane("cpu", folder=tmp_path / "locks", patience=0.01) for _ in range(3))
    with first.alone(), worker.working():  # it had no patience, and works beside the first
        assert len(worker.notes) == 1
        first.close()
        worker.checkpoint()
        with second.alone():
            assert len(second.notes) == 1  # who could not have it alone, for the worker is back in the room
    for lane in (worker, second):
        lane.close()


def test_others_get_the_device_when_it_has_done_all_that_it_was_given(tmp_path: Path) -> None:
    free = []

    def drain() -> None:
        lane = Lane("gpu", folder=tmp_path / "locks", patience=0.05)
        with lane.alone():
            free.append(not lane.notes)
        lane.close()

    mine = Lane("gpu", folder=tmp_path / "locks", drain=drain)
    with mine.working():
        assert not free
    assert free == [False]  # it was called while nobody else could have the device
    drain()
    assert free == [False, True]
    mine.close()


def test_a_device_that_cannot_be_waited_for_is_free_all_the_same(tmp_path: Path) -> None:
    def broken() -> None:
        raise RuntimeError("CUDA error")

    mine, other = (Lane("gpu", folder=tmp_path / "locks", patience=0.05, drain=d) for d in (broken, None))
    with pytest.raises(RuntimeError, match="CUDA error"), mine.working():
        pass
    with other.alone():
        assert not other.notes
    mine.close()
    other.close()


def test_a_measurer_that_hangs_does_not_hold_up_training_for_ever(tmp_path: Path) -> None:
    lane = Lane("cpu", folder=tmp_path / "locks", patience=0.02)
    with user("alone", tmp_path) as process:
        assert line(process) == "alone"
        with lane.working():
            for _ in range(100):
                lane.checkpoint()
            assert lane.waited < 1.5  # waiting in vain a hundred times takes 2 s, or more where the machine is busy
        assert len(lane.notes) == 1 and "one that measures" in lane.notes[0]
    with lane.working(), Lane("cpu", folder=tmp_path / "locks", patience=0.15).alone():
        assert len(lane.notes) == 1
    lane.close()


def test_alone_inside_working_comes_back_to_working(tmp_path: Path) -> None:
    mine, other = (Lane("cpu", folder=tmp_path / "locks", patience=0.15) for _ in range(2))
    with mine.working():
        with mine.alone():
            pass
        with other.alone():
            assert other.notes  # somebody works
    late = Lane("cpu", folder=tmp_path / "locks", patience=0.15)
    with late.alone():
        assert late.notes == []  # nobody does any more
    for lane in (mine, other, late):
        lane.close()


def test_devices_do_not_wait_for_each_other(tmp_path: Path) -> None:
    cpu, gpu = (Lane(name, folder=tmp_path / "locks", patience=0.15) for name in ("cpu", "cuda-GPU-1234/5"))
    with cpu.alone(), gpu.alone():
        assert cpu.notes == gpu.notes == []
    cpu.close()
    gpu.close()


def test_folders_that_others_could_meddle_with_are_not_used(tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for folder in (public, link, tmp_path / "nowhere" / "locks"):
        lane = Lane("cpu", folder=folder)
        assert len(lane.notes) == 1 and "no lock files" in lane.notes[0]
        with lane.working(), lane.alone():
            lane.checkpoint()
    assert list(public.iterdir()) == []


def test_files_are_the_users_own(tmp_path: Path) -> None:
    lane = Lane("cpu", folder=tmp_path / "locks")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "locks").iterdir()}
    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
    assert modes == {0o600}
    lane.close()

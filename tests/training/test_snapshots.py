from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from prunesearch.training import snapshots
from prunesearch.training.snapshots import SnapshotStore

BIG = 1 << 30


def tensors(value: float, count: int = 250) -> dict[str, torch.Tensor]:
    return {"w": torch.full((count,), float(value))}


def fresh(folder: Path, budget: int = BIG) -> SnapshotStore:
    """A store of another process, as far as memory goes: everything is read from disk."""
    return SnapshotStore(folder, budget, memory=0)


def on_disk(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob("*/*.safetensors"))


def test_what_is_put_is_there_for_others(tmp_path: Path) -> None:
    fresh(tmp_path).put("ab12", tensors(3.0), {"row": {"epoch": 1}})
    other = fresh(tmp_path)
    found = other.get("ab12")
    assert found is not None
    assert torch.equal(found["w"], tensors(3.0)["w"])
    assert (other.facts("ab12") or {})["row"] == {"epoch": 1}
    assert other.has("ab12")


def test_what_was_never_put_is_absent(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    assert (store.get("ab12"), store.facts("ab12"), store.has("ab12")) == (None, None, False)


def test_all_kinds_of_tensors_come_back(tmp_path: Path) -> None:
    given = {
        "float": torch.randn(3, 4),
        "half": torch.randn(2, 3).to(torch.bfloat16),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "long": torch.arange(5),
        "none": torch.empty(0, 3),
    }
    fresh(tmp_path).put("ab12", given, {})
    found = fresh(tmp_path).get("ab12")
    assert found is not None and found.keys() == given.keys()
    assert all(torch.equal(found[name], t) and found[name].dtype == t.dtype for name, t in given.items())


def test_another_stages_tensors_do_not_pass_for_its_own(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    for key, value in (("ab12", 3.0), ("ab13", 4.0)):
        store.put(key, tensors(value), {})
    one, other = (next(tmp_path.glob(f"*/{key}.safetensors")) for key in ("ab12", "ab13"))
    one.write_bytes(other.read_bytes())
    assert fresh(tmp_path).get("ab12") is None
    assert fresh(tmp_path).get("ab13") is not None


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, None], ids=["empty", "zeros", "one bit"])
def test_damaged_tensors_are_dropped_with_a_warning(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    fresh(tmp_path).put("ab12", tensors(3.0), {})
    path = next(tmp_path.glob("*/*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data) if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert fresh(tmp_path).get("ab12") is None
    assert "damaged" in caplog.text
    assert not fresh(tmp_path).has("ab12")
    assert fresh(tmp_path).facts("ab12") is None


def test_damaged_facts_are_dropped(tmp_path: Path) -> None:
    fresh(tmp_path).put("ab12", tensors(3.0), {})
    next(tmp_path.glob("*/*.json")).write_text("{")
    assert fresh(tmp_path).facts("ab12") is None
    assert not fresh(tmp_path).has("ab12")


def test_what_is_damaged_and_cannot_be_removed_is_absent(tmp_path: Path) -> None:
    (tmp_path / "ab" / "ab12.json").mkdir(parents=True)
    assert fresh(tmp_path).facts("ab12") is None


def test_the_budget_holds_and_the_dense_trunk_goes_last(tmp_path: Path) -> None:
    size = 1100  # bytes of one snapshot of 250 floats with its header, rounded up
    store = fresh(tmp_path, budget=10 * size)
    for i in range(6):
        store.put(f"d{i}", tensors(i), {"dense": True})
    for i in range(40):
        store.put(f"p{i:02}", tensors(i), {"dense": False})
    store.put("last", tensors(0), {"dense": False})
    assert on_disk(tmp_path) <= 10 * size
    assert all(store.has(f"d{i}") for i in range(6))
    assert store.has("last")
    assert store.facts("p00") is not None  # facts stay


def test_the_budget_is_that_of_all_workers_together(tmp_path: Path) -> None:
    budget, workers = 160_000, [fresh(tmp_path, 160_000) for _ in range(8)]
    peak = 0
    for i in range(400):
        workers[i % 8].put(f"k{i:03}", tensors(i), {})
        peak = max(peak, on_disk(tmp_path))
    assert 0.5 * budget < peak <= 1.6 * budget  # a sixteenth that each of eight has not shown yet, and one snapshot of each


def test_what_earlier_searches_left_counts_from_the_first_snapshot(tmp_path: Path) -> None:
    for i in range(50):
        fresh(tmp_path).put(f"k{i:03}", tensors(i), {})
    fresh(tmp_path, 20_000).put("new", tensors(0), {})
    assert on_disk(tmp_path) <= 20_000


def test_what_another_worker_removes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """Listed and gone: a link that leads nowhere is what a file is that vanishes between the two looks at it."""
    store = fresh(tmp_path, budget=2500)
    store.put("p0", tensors(0), {})
    (tmp_path / "p0" / "gone.safetensors").symlink_to("nowhere")
    for i in range(1, 4):
        store.put(f"p{i}", tensors(i), {})
    assert [store.has(f"p{i}") for i in range(4)] == [False, False, True, True]


def test_a_snapshot_beyond_the_budget_keeps_its_facts_only(tmp_path: Path) -> None:
    store = fresh(tmp_path, budget=100)
    store.put("ab12", tensors(1.0), {"row": 1})
    assert not store.has("ab12")
    assert store.facts("ab12") is not None


def test_what_is_dropped_is_dropped_from_memory_too(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, 1 << 20)
    store.put("ab" * 16, {"w": torch.zeros(3)}, {})
    store.drop("ab" * 16, "it is another network's")
    assert store.get("ab" * 16) is None and not store.has("ab" * 16)
    store.put("ab" * 16, {"w": torch.ones(3)}, {})
    assert torch.equal(store.get("ab" * 16)["w"], torch.ones(3))  # type: ignore[index]


def test_memory_is_bounded(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, budget=0, memory=3000)
    for i in range(5):
        store.put(f"k{i}", tensors(i), {})
    assert [store.has(f"k{i}") for i in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("where", ["tensors", "facts"])
def test_a_full_disk_is_told_once_and_training_goes_on(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, *_: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_too(_specs: object, path: Path) -> None:
        path.touch()
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    if where == "tensors":
        monkeypatch.setattr(snapshots, "serialize_file", full_too)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    store = fresh(tmp_path)
    store.put("ab12", tensors(1.0), {})
    store.put("ab13", tensors(1.0), {})
    assert caplog.text.count("No space left on device") == 1
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".json"]


def _hold(folder: Path, held: float) -> None:
    with fresh(folder).claimed("ab12", lambda: None):
        (folder / "held").touch()
        time.sleep(held)


@pytest.mark.parametrize("killed", [False, True])
def test_one_process_at_a_time_trains_a_stage_and_death_frees_it(tmp_path: Path, killed: bool) -> None:
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path, 60.0 if killed else 0.5))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    waited = 0

    def between() -> None:
        nonlocal waited
        waited += 1
        if killed and waited == 5 and holder.pid:
            os.kill(holder.pid, signal.SIGKILL)

    store = fresh(tmp_path)
    with store.claimed("ab12", between):
        assert waited >= 5
        assert store.waited >= 0.05
    holder.join()


def test_what_a_killed_process_was_writing_is_removed_once_it_is_old(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    store.put("ab12", tensors(1.0), {})
    old, young = (tmp_path / "ab" / f".{name}.safetensors.{os.getpid()}.draft" for name in ("old", "young"))
    for draft in (old, young):
        draft.write_bytes(b"half of it")
    os.utime(old, (time.time() - 7200,) * 2)
    fresh(tmp_path).put("cd34", tensors(2.0), {})
    assert (old.exists(), young.exists()) == (False, True)

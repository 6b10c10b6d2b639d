"""Decoded data once per host: bits, changes of the source, damage, full disks, and memory that nobody writes to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunesearch import Task
from prunesearch.engines import EngineSpec
from prunesearch.policy import Policy
from prunesearch.results import Job
from prunesearch.tasks import load_task
from prunesearch.tasks.cache import ArrayCache, stamp_of
from prunesearch.tasks.digest import fingerprint
from prunesearch.training.augment import margin
from prunesearch.training.data import Handling, Resident
from prunesearch.training.splits import raw_splits
from prunesearch.trial import TrialRunner
from tests.disk import full_disk
from tests.engines.contract import numbers

IMAGES = torch.randint(0, 256, (1200, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(1200) % 7
Arrays = dict[str, torch.Tensor]


class Maker:
    """Makes arrays, and counts how often."""

    def __init__(self, wait: float = 0.0) -> None:
        self.made, self.wait = 0, wait

    def __call__(self) -> Arrays:
        self.made += 1
        time.sleep(self.wait)
        return {"x": IMAGES, "y": LABELS, "z": torch.tensor([float("nan"), 1.0])}


def equal(found: Any, given: Any) -> bool:
    return found.keys() == given.keys() and all(
        torch.equal(found[k].view(torch.uint8), t.view(torch.uint8)) and found[k].dtype == t.dtype for k, t in given.items()
    )


def the_file(folder: Path) -> Path:
    (found,) = folder.glob("*.safetensors")
    return found


def test_arrays_are_made_once_and_come_back_to_the_last_bit(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert equal(ArrayCache(tmp_path).kept("mine", lambda: "v1", make), Maker()())
    assert make.made == 1
    ArrayCache(tmp_path).kept("other", lambda: "v1", make)
    assert make.made == 2


def test_without_a_folder_or_a_source_nothing_is_kept(tmp_path: Path) -> None:
    make = Maker()
    for cache, stamp in ((ArrayCache(), "v1"), (ArrayCache(tmp_path), "")):
        for _ in range(2):
            cache.kept("mine", lambda said=stamp: said, make)  # type: ignore[misc]
    assert make.made == 4


def test_a_changed_source_is_decoded_again_into_the_same_file(tmp_path: Path) -> None:
    source, make, folder = tmp_path / "images.bin", Maker(), tmp_path / "arrays"
    for content in ("a", "b"):
        source.write_text(content)
        os.utime(source, ns=(0, ord(content)))
        for _ in range(2):
            ArrayCache(folder).kept("mine", lambda: stamp_of([source, tmp_path / "not there"]), make)
    assert make.made == 2
    assert the_file(folder).exists()


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flipped, cut_short, lambda path: path.write_bytes(b"")])
def test_damage_is_told_and_mended(tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture) -> None:
    make = Maker()
    ArrayCache(tmp_path).kept("mine", lambda: "v1", make)
    damage(the_file(tmp_path))
    assert equal(ArrayCache(tmp_path).kept("mine", lambda: "v1", make), Maker()())
    assert "is damaged" in caplog.text
    caplog.clear()
    assert equal(ArrayCache(tmp_path).kept("mine", lambda: "v1", make), Maker()())
    assert (make.made, caplog.text) == (2, "")


def test_of_several_at_once_one_decodes(tmp_path: Path) -> None:
    make = Maker(wait=0.1)
    threads = [threading.Thread(target=lambda: ArrayCache(tmp_path).kept("mine", lambda: "v1", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.made == 1


def test_a_full_disk_costs_sharing_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk(100_000):
        assert equal(ArrayCache(tmp_path).kept("mine", lambda: "v1", Maker()), Maker()())
        held = ArrayCache(tmp_path).held("mine", {"train": (IMAGES, LABELS)})["train"]
    assert isinstance(held, tuple) and held[0] is IMAGES
    assert "decoded data is not kept" in caplog.text
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob(".*"))


def test_a_folder_that_cannot_be_made_costs_sharing_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert equal(ArrayCache(tmp_path / "file" / "arrays").kept("mine", lambda: "v1", Maker()), Maker()())
    assert "decoded data is not kept" in caplog.text


def test_held_splits_are_equal_and_batches_are_taken_from_the_map_itself(tmp_path: Path) -> None:
    given: Any = raw_splits(Task(model=nn.Identity, train=(IMAGES, LABELS)), 0)
    for _ in range(2):
        held = ArrayCache(tmp_path).held("mine", given)
        assert {n: fingerprint(s) for n, s in held.items()} == {n: fingerprint(s) for n, s in given.items()}
    assert held["val"] is given["val"]  # small: not worth a file
    x, y = held["train"]  # type: ignore[misc]
    split = Resident(x, y, Handling(32, torch.device("cpu")))
    assert split._x.data_ptr() == x.data_ptr()
    raw: Any = given["train"]
    plain = Resident(raw[0], raw[1], Handling(32, torch.device("cpu")))
    for one, other in zip(split.shuffled(0, 0), plain.shuffled(0, 0), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("kinds", [("crop", "flip"), ("shift",), ("flip",)])
def test_crops_are_taken_from_the_map_itself_with_its_zeros_around(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    how, p = Handling(32, torch.device("cpu"), channels_last=True, augment=kinds), margin(kinds)
    for _ in range(2):
        x, y = ArrayCache(tmp_path).held("mine", {"train": (IMAGES, LABELS)}, {"train": p})["train"]  # type: ignore[misc]
        assert fingerprint((x, y)) == fingerprint((IMAGES, LABELS))
    split, plain = Resident(x, y, how), Resident(IMAGES, LABELS, how)
    assert split._padded.shape == (1200, 24 + 2 * p, 24 + 2 * p, 3)
    assert split._padded.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert split._x.data_ptr() == x.data_ptr()
    for one, other in zip(split.shuffled(0, 0), plain.shuffled(0, 0), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert all(torch.equal(one[0], other[0]) for one, other in zip(split.ordered(), plain.ordered(), strict=True))


def test_crops_take_zeros_and_never_what_else_lies_around_a_view() -> None:
    """Images cut by the user from larger ones lie in memory as padded ones do."""
    around = torch.randint(1, 256, (50, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inner = around[:, 4:-4, 4:-4].permute(0, 3, 1, 2)
    how = Handling(10, torch.device("cpu"), augment=("crop",))
    view, copy = Resident(inner, LABELS[:50], how), Resident(inner.clone(), LABELS[:50], how)
    assert all(torch.equal(one[0], other[0]) for one, other in zip(view.shuffled(0, 0), copy.shuffled(0, 0), strict=True))


def test_held_splits_follow_their_content(tmp_path: Path) -> None:
    for inputs in (IMAGES, IMAGES.flip(0), IMAGES.float(), IMAGES[:, :1]):
        held: Any = ArrayCache(tmp_path).held("mine", {"train": (inputs, LABELS)})["train"]
        assert torch.equal(held[0], inputs) and held[0].dtype == inputs.dtype


SERIES = torch.randn(600, 500, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pair", [(SERIES, SERIES), (SERIES[:-1], SERIES[1:])], ids=["autoencoder", "next step"])
def test_inputs_and_targets_may_share_memory(tmp_path: Path, pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        held: Any = ArrayCache(tmp_path).held("mine", {"train": pair})["train"]
        assert all(torch.equal(one, other) for one, other in zip(held, pair, strict=True))
    assert held[0].data_ptr() != SERIES.data_ptr() and caplog.text == ""


def test_what_the_format_cannot_hold_costs_sharing_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = (SERIES.to(torch.complex128), SERIES[:, 0])
    held: Any = ArrayCache(tmp_path).held("mine", {"train": given})["train"]
    assert held[0] is given[0]
    assert "decoded data is not kept" in caplog.text


def trial(task: str, arrays: Path | None, data_dir: str | None = None) -> tuple[Any, Any]:
    runner = TrialRunner(EngineSpec(task, device="cpu", arrays=str(arrays) if arrays else None, data_dir=data_dir))
    policy = Policy.parse({"epochs": 1, "threshold": 0.5, "granularity": "unit", "epoch_threshold": 0})
    return runner.describe(), numbers(runner.run(Job(1, policy, 1, seed=0)))


OWN = """
import torch
from torch import nn
from prunesearch import Task

def make_task(seed):
    x = torch.randn(3000, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    return Task(model=lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)),
                train=(x, (x.mean((1, 2, 3)) > 0).long()), version="1")
"""


@pytest.mark.parametrize("task", ["digits-cnn", "moons-mlp", "iris-mlp", "own"])
def test_digests_and_trials_are_the_same_with_and_without(tmp_path: Path, task: str) -> None:
    if task == "own":
        (tmp_path / "own.py").write_text(OWN)
        task = f"{tmp_path}/own.py:make_task"
    plain = trial(task, None)
    for _ in range(2):
        assert trial(task, tmp_path / "arrays") == plain
    assert list((tmp_path / "arrays").glob("*.safetensors"))


def copied(folder: Path) -> dict[str, int]:
    """kB that this process has copied because it wrote to them, in each map of a file of the folder."""
    found: dict[str, int] = {}
    name = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0]:
            name = words[5] if len(words) > 5 else ""
        elif words[0] == "Anonymous:" and name.startswith(str(folder)):
            found[name] = found.get(name, 0) + int(words[1])
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel tells what is shared only on Linux")
def test_training_writes_into_nothing_that_is_shared(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    runner = TrialRunner(EngineSpec(f"{tmp_path}/own.py:make_task", device="cpu", arrays=str(tmp_path / "arrays")))
    policy = Policy.parse({"epochs": 2, "threshold": 0.5, "epoch_threshold": 0})
    assert runner.run(Job(1, policy, 2, seed=0)).state == "complete"
    found = copied(tmp_path / "arrays")
    assert found and set(found.values()) == {0}
    runner._prepared.splits.train._x[0] += 1.0  # type: ignore[attr-defined]
    assert max(copied(tmp_path / "arrays").values()) > 0  # so that the kernel's count would have shown it


@pytest.mark.data
def test_a_second_process_decodes_nothing(tmp_path: Path, data_dir: Path) -> None:
    first = load_task("mnist-lenet300", data_dir=str(data_dir), cache=tmp_path)
    code = """if True:
        import sys
        from prunesearch.engines import EngineSpec
        from prunesearch.engines.lean import leave_compiler_out
        from prunesearch.trial import TrialRunner
        leave_compiler_out()
        info = TrialRunner(EngineSpec("mnist-lenet300", device="cpu", data_dir=sys.argv[1], arrays=sys.argv[2])).describe()
        print(info.digest, [m for m in ("torchvision", "sklearn", "pandas", "scipy", "torch._dynamo") if m in sys.modules])
    """
    spec = EngineSpec("mnist-lenet300", device="cpu", data_dir=str(data_dir), arrays=str(tmp_path))
    digest = TrialRunner(spec).describe().digest
    done = subprocess.run([sys.executable, "-c", code, str(data_dir), str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{digest} []"
    assert digest == TrialRunner(EngineSpec("mnist-lenet300", device="cpu", data_dir=str(data_dir))).describe().digest
    assert isinstance(first.train, tuple) and first.train[0].shape == (60_000, 1, 28, 28)

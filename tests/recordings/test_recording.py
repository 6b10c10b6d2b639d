from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prunesearch.errors import EnvironmentFailure, UsageError
from prunesearch.recordings import Draft, Recording, put_in_place, refuse_existing
from prunesearch.recordings.writing import INDEX
from tests.disk import full_disk
from tests.recordings.made import POLICY, cnn_recording, mlp_recording


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = mlp_recording(tmp_path / "r", (2, 6, 3), epochs=3)
    assert [(s.kind, s.epoch) for s in made.states] == [("initial", -1), *(("epoch", e) for e in range(3)), ("final", 3)]
    assert made.policy == POLICY
    assert [layer.name for layer in made.layers] == ["fc1", "fc2"]
    assert [made.counts(s, "fc1.weight") for s in made.states] == [(12, 12), (9, 12), (6, 12), (3, 12), (3, 12)]
    assert [made.sparsity(s) for s in made.states] == pytest.approx([0, 3 / 30, 6 / 30, 9 / 30, 9 / 30])
    last = made.tensors(made.states[-1])
    assert np.count_nonzero(last.values["fc1.weight"]) == last.left("fc1.weight").sum() == 3
    assert last.left("fc2.weight").all()


def test_the_end_is_no_frame_of_its_own_where_it_is_the_last_epoch(tmp_path: Path) -> None:
    made = mlp_recording(tmp_path / "r", epochs=2)
    assert [s.kind for s in made.frames] == ["initial", "epoch", "epoch"]
    assert [s.kind for s in cnn_recording(tmp_path / "c").frames] == ["initial", "epoch"]


def test_of_a_large_network_a_sample_is_kept_and_all_is_counted(tmp_path: Path) -> None:
    made = mlp_recording(tmp_path / "r", (300, 100, 5), params=2_000_000)
    assert made.sampled
    tensors = made.tensors(made.states[1])
    assert tensors.values["fc1.weight"].shape == tensors.left("fc1.weight").shape == (64, 64)
    assert tensors.values["fc2.weight"].shape == (5, 64)
    assert made.counts(made.states[1], "fc1.weight") == (22_500, 30_000)
    assert [side.shape for side in tensors.sides["fc1.weight"]] == [(100,), (300,)]
    assert json.loads((tmp_path / "r" / INDEX).read_text())["sample"] == {"outputs": 64, "inputs": 64}


def _cut_short(folder: Path) -> None:
    file = folder / "0001.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


def _flipped(folder: Path) -> None:
    file = folder / "0001.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def _missing(folder: Path) -> None:
    (folder / "0001.safetensors").unlink()


@pytest.mark.parametrize("harm", [_cut_short, _flipped, _missing])
def test_a_damaged_state_is_told(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    made = mlp_recording(tmp_path / "r")
    harm(tmp_path / "r")
    made.tensors(made.states[0])
    with pytest.raises(UsageError, match=r"0001\.safetensors' is damaged"):
        made.tensors(made.states[1])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "not a recording"),
        ("{", "not a recording"),
        ("[]", "not a recording"),
        ('{"format": 1}', "not a recording"),
        ('{"format": 1, "states": []}', "it has no states"),
        ('{"format": 99, "states": []}', "newer prunesearch"),
    ],
)
def test_a_folder_that_is_no_recording_is_told(tmp_path: Path, index: str | None, message: str) -> None:
    if index is not None:
        (tmp_path / INDEX).write_text(index)
    with pytest.raises(UsageError, match=message):
        Recording.read(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder") as told:
        Recording.read(tmp_path / "none")
    assert "--record" in str(told.value.hint)


def test_only_recordings_are_replaced_and_only_when_asked(tmp_path: Path) -> None:
    assert refuse_existing(tmp_path / "new") == tmp_path / "new"
    mlp_recording(tmp_path / "r")
    with pytest.raises(UsageError, match="there already") as told:
        refuse_existing(tmp_path / "r")
    assert told.value.hint == "--force replaces it"
    refuse_existing(tmp_path / "r", force=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="there already"):
        refuse_existing(tmp_path / "mine", force=True)
    mlp_recording(tmp_path / "new", epochs=1)
    with pytest.raises(UsageError, match="there already"):
        put_in_place(tmp_path / "new", tmp_path / "r")
    with pytest.raises(UsageError, match="there already"):
        put_in_place(tmp_path / "new", tmp_path / "mine", force=True)
    put_in_place(tmp_path / "new", tmp_path / "r", force=True)
    assert len(Recording.read(tmp_path / "r").states) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "r"]


def test_the_old_recording_stays_where_the_new_one_cannot_come(tmp_path: Path) -> None:
    mlp_recording(tmp_path / "r")
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        put_in_place(tmp_path / "none", tmp_path / "r", force=True)
    assert len(Recording.read(tmp_path / "r").states) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_what_came_while_it_was_recorded_stays(tmp_path: Path) -> None:
    with Draft(tmp_path / "r", 0) as draft:
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / "mine.txt").write_text("mine")
        with pytest.raises(UsageError, match="there already"):
            draft.close({})
    assert [p.name for p in tmp_path.rglob("*")] == ["r", "mine.txt"]


def test_a_draft_that_is_not_closed_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> None:
        with Draft(tmp_path / "r", 0) as draft:
            draft.add("initial", -1, None, {"w": np.zeros((2, 2), np.float32)}, {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        Draft(tmp_path / "file" / "r", 0)
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        refuse_existing(tmp_path / ("long" * 100))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Draft(tmp_path / "r", 0) as draft, full_disk(1_000), pytest.raises(EnvironmentFailure, match=r"cannot write .*/r'"):
        draft.add("initial", -1, None, {"w": np.zeros((100, 100), np.float32)}, {})
    assert list(tmp_path.iterdir()) == []

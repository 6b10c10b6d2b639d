"""Weights come in from every kind of file that runs no code; pruned networks go out whole and without pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from prunesearch.errors import EnvironmentFailure, MissingDataError, TaskError
from prunesearch.models import lenet5, mlp
from prunesearch.pruning.cut import rebuild
from prunesearch.results import ARCHITECTURE, WEIGHTS
from prunesearch.training.keep import keep_network
from prunesearch.training.weights import put_weights, read_weights
from tests.disk import full_disk

STATE = mlp((3, 4, 2)).state_dict()


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("false",)


def equal(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_state_dicts_and_files_of_them_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "b.pt")
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "c.pth")
    torch.save({"model": {f"module.{k}": v for k, v in STATE.items()}}, tmp_path / "d.bin")
    assert all(equal(read_weights(tmp_path / name)) for name in ("a.safetensors", "b.pt", "c.pth", "d.bin"))
    assert equal(read_weights(STATE)) and equal(read_weights(str(tmp_path / "b.pt")))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    torch.save(mlp((3, 2)), tmp_path / "whole.pt")
    for name in ("evil.pt", "whole.pt"):
        with pytest.raises(TaskError, match="cannot be read as tensors") as error:
            read_weights(tmp_path / name)
        assert "state_dict()" in (error.value.hint or "")


def test_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="there is no file"):
        read_weights(tmp_path / "none.pt")
    for name in ("bad.pt", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(TaskError, match="cannot be read"):
            read_weights(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(TaskError, match="hold no state dict"):
        read_weights(tmp_path / "list.pt")


def test_weights_that_do_not_fit_are_told() -> None:
    with pytest.raises(TaskError, match=r"do not fit the model: size mismatch for fc1\.weight"):
        put_weights(mlp((3, 5, 2)), STATE)
    with pytest.raises(TaskError, match="Missing key"):
        put_weights(mlp((3, 4, 2)), {k: v for k, v in STATE.items() if k != "fc1.bias"})


def test_a_kept_network_comes_back_with_its_outputs(tmp_path: Path) -> None:
    model = lenet5().to(memory_format=torch.channels_last).eval()
    keep_network(model, tmp_path / "deep" / "kept")
    assert sorted(p.name for p in (tmp_path / "deep").rglob("*")) == [ARCHITECTURE, "kept", WEIGHTS]
    back = rebuild(lenet5(), json.loads((tmp_path / "deep" / "kept" / ARCHITECTURE).read_text())).eval()
    back.load_state_dict(load_file(tmp_path / "deep" / "kept" / WEIGHTS))
    x = torch.randn(3, 1, 28, 28)
    assert torch.allclose(back(x), model(x), atol=1e-6)


def test_shared_tensors_are_kept(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    keep_network(model, tmp_path / "kept")
    assert torch.equal(load_file(tmp_path / "kept" / WEIGHTS)["1.weight"], model.get_parameter("0.weight"))


def test_keeping_again_replaces_and_failing_leaves_what_was_there(tmp_path: Path) -> None:
    keep_network(mlp((3, 2)), tmp_path / "kept")
    (tmp_path / "kept" / "card.md").write_text("mine")
    keep_network(mlp((4, 2)), tmp_path / "kept")
    assert load_file(tmp_path / "kept" / WEIGHTS)["fc1.weight"].shape == (2, 4)

    with full_disk(1_000), pytest.raises(EnvironmentFailure, match=r"cannot write .*/kept'"):
        keep_network(mlp((500, 2)), tmp_path / "kept")
    assert load_file(tmp_path / "kept" / WEIGHTS)["fc1.weight"].shape == (2, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept"]
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [ARCHITECTURE, "card.md", WEIGHTS]

"""Whose a folder of kept networks is: studies of one name in two stores never share it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from prunesearch.errors import EnvironmentFailure, StudyError
from prunesearch.results import Job, Result
from prunesearch.search.folders import MARK, belongs, claim
from prunesearch.store import Store
from tests.search.conftest import Bench
from tests.search.parts import spec
from tests.search.test_driver import Wrapped


def keeping(job: Job, result: Result) -> Result:
    if job.keep_to:
        Path(job.keep_to).mkdir(parents=True, exist_ok=True)
        (Path(job.keep_to) / "model.safetensors").write_bytes(b"x")
    return replace(result, kept_in=job.keep_to)


def test_a_study_of_the_same_name_in_another_store_is_refused_the_folder(bench: Bench, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    bench.search(spec(trials=4), engine=Wrapped(keeping), artifacts=kept)
    before = sorted(kept.rglob("*"))
    with Store.open(f"sqlite:///{tmp_path / 'other.db'}", write=True) as store:
        other, engine = Bench(store, bench.home), Wrapped(keeping)
        with pytest.raises(StudyError, match="holds the networks of another study 's', made at 20") as caught:
            other.search(spec(trials=8), engine=engine, artifacts=kept)
        assert "--artifacts" in str(caught.value.hint)
        assert engine.jobs == []
        assert sorted(kept.rglob("*")) == before
        assert other.search(spec(trials=8), engine=Wrapped(keeping), artifacts=tmp_path / "others").done == 8
    assert bench.search(spec(trials=8), engine=Wrapped(keeping), artifacts=kept).done == 8


def test_a_folder_without_a_mark_is_taken_by_the_first_that_comes(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "s"
    (folder / "trial-00001").mkdir(parents=True)
    assert belongs(folder, "then") and belongs(folder, "later")
    claim(folder, "s", "then")
    claim(folder, "s", "then")
    assert belongs(folder, "then") and not belongs(folder, "later")
    with pytest.raises(StudyError, match="made at then"):
        claim(folder, "s", "later")
    assert {path.name for path in folder.iterdir()} == {"trial-00001", MARK}


def test_drafts_of_networks_that_nobody_writes_any_more_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "s"
    old, new = folder / ".trial-00001-abcd", folder / ".trial-00002-efgh"
    for draft in (old, new, folder / "trial-00003"):
        (draft / "trial").mkdir(parents=True)
        (draft / "trial" / "model.safetensors").write_bytes(b"x")
    for path in (old, folder / "trial-00003"):
        os.utime(path, (0, 0))
    claim(folder, "s", "then")
    assert {path.name for path in folder.iterdir()} == {new.name, "trial-00003", MARK}


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_trained(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where a folder should be")
    engine = Wrapped(keeping)
    with pytest.raises(EnvironmentFailure, match=r"cannot write '.*kept.s': Not a directory"):
        bench.search(spec(trials=4), engine=engine, artifacts=tmp_path / "kept")
    assert engine.jobs == []

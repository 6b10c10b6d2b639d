"""What leaves a study in fast numerics was trained in exact: kept, trained again, or trained for the first time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import delete

import prunesearch as ps
from prunesearch.errors import UsageError
from prunesearch.measure.params import count_dense
from prunesearch.results import DENSE
from prunesearch.store import Store
from prunesearch.store.schema import exact
from tests.trial.blobs import needs_fast

pytestmark = needs_fast
TRIALS, EPOCHS = 5, 3


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(store, folder with the networks that were kept) of a search over real trials."""
    folder = tmp_path_factory.mktemp("fast")
    url = f"sqlite:///{folder / 'studies.db'}"
    how: dict[str, Any] = {"epochs": EPOCHS, "trials": TRIALS, "engine": "serial", "store": url, "name": "s"}
    ps.search(task="digits-mlp", artifacts=str(folder / "kept"), numerics="fast", stage_budget=0, **how)
    return url, folder / "kept"


def test_the_front_has_the_figures_of_running_its_policies_in_exact(fast: tuple[str, Path]) -> None:
    url, _ = fast
    front = ps.front("s", store=url)
    assert front.numerics == "remeasured"
    row = front[0]
    again = ps.run(row.policy, task="digits-mlp", epochs=EPOCHS)
    for name in ("accuracy", "test_accuracy", "params", "macs"):
        assert getattr(again.measures, name) == getattr(row.measures, name), name
    assert again.dense.measures.accuracy == (front.dense and front.dense.accuracy)


def test_run_computes_as_it_is_told_and_its_card_says_so(fast: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = fast
    with Store.open(url) as store:
        trial = store.trial("s", ps.front("s", store=url)[0].trial)
    again = ps.run(trial.policy, task="digits-mlp", epochs=EPOCHS, numerics="fast", to=str(tmp_path / "bundle"))
    assert [e.loss for e in again.results[0].epochs] == [e.loss for e in trial.epochs]
    card = (tmp_path / "bundle" / "card.md").read_text()
    assert "--task digits-mlp --seed 0 --numerics fast\n" in card and "* fast numerics" in card
    with pytest.raises(UsageError, match="did you mean 'fast'"):
        ps.run(trial.policy, task="digits-mlp", numerics="fas")


@pytest.mark.parametrize("kept", [True, False])
def test_a_bundle_holds_what_exact_training_gave(fast: tuple[str, Path], tmp_path: Path, kept: bool) -> None:
    url, folder = fast
    row = ps.front("s", store=url)[0]
    where = folder / "s" / f"trial-{row.trial:05d}"
    aside = None if kept else shutil.move(where, tmp_path / "aside")
    try:
        bundle = ps.export("s", trial=row.trial, to=str(tmp_path / "bundle"), store=url)
    finally:
        if aside:
            shutil.move(aside, where)
    card = Path(bundle, "card.md").read_text()
    assert f"{row.measures.accuracy:.4f}" in card and "fast" not in card
    alone = ps.run(row.policy, task="digits-mlp", epochs=EPOCHS, to=str(tmp_path / "alone"))
    one, other = ps.load(bundle).state_dict(), ps.load(str(alone.written)).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_trial_that_nobody_trained_in_exact_is_trained_now(fast: tuple[str, Path], tmp_path: Path) -> None:
    plain, _ = fast
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    with Store.open(plain) as source, Store.open(url, write=True) as store:
        source.copy_study("s", store)
        trial = store.trial("s", source.front("s")[0].trial)
        with store._engine.begin() as connection:
            connection.execute(delete(exact))
    assert ps.front("s", store=url).numerics == "fast"
    bundle = ps.export("s", trial=trial.number, to=str(tmp_path / "bundle"), store=url)
    again = ps.run(trial.policy, task="digits-mlp", epochs=EPOCHS)
    assert count_dense(ps.load(bundle)) == again.measures.params_dense
    assert f"{again.measures.accuracy:.4f}" in Path(bundle, "card.md").read_text()


def test_show_and_status_say_which_figures_they_tell(fast: tuple[str, Path]) -> None:
    url, _ = fast
    shown = ps.show("s", trial=ps.front("s", store=url)[0].trial, store=url)
    assert shown.trial is not None and shown.exact is not None and shown.exact.measures is not None
    assert shown.to_dict()["exact"]["result"]["measures"]["accuracy"] == shown.exact.measures.accuracy
    assert ps.status("s", store=url).numerics == "remeasured"
    assert ps.studies_show("s", store=url)["numerics"] == "fast"
    with Store.open(url) as store:
        assert DENSE in store.exact("s")

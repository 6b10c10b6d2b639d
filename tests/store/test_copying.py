"""A copied study is the same study in another database, Optuna's part included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import OperationalError

from prunesearch.errors import StoreError, StudyError
from prunesearch.store import Store, copying

Storages = Callable[..., RDBStorage]


@pytest.fixture
def other_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
def filled(store: Store, url: str, parts: Any, storages: Storages) -> Store:
    """A store with one study in both kinds of tables, and one more before it, so that numbers differ."""
    parts.fill(store, "before")
    parts.fill(store, "s")
    store.record_front("s", 1, [0, 1], 0.5, of=store.ended("s"))
    running = store.take_ticket("s", 10, "me")
    store.start_trial("s", 2, running, parts.policy(), "d", 0)
    study = optuna.create_study(study_name="s", storage=storages(url), directions=["maximize", "minimize"])
    for accuracy, params in ((0.9, 100.0), (0.8, 50.0)):
        trial = study.ask()
        trial.suggest_float("threshold", 0.1, 0.9)
        study.tell(trial, [accuracy, params])
    return store


def everything(store: Store, name: str) -> tuple[Any, ...]:
    """A study without what belongs to its database: ids and names, and who drives it there."""
    stored = store.study(name)
    record = replace(stored, id=0, name="", spec={**stored.spec, "name": ""})
    tickets = [replace(t, id=0, owner=None) for t in store.tickets(name)]
    return (
        record,
        tickets,
        [store.trial(name, t.number) for t in store.trials(name)],
        store.front_history(name),
        list(store.front(name)),
    )


@pytest.mark.parametrize("name", [None, "copy"])
def test_a_copy_is_equal(filled: Store, url: str, other_url: str, storages: Storages, name: str | None) -> None:
    with Store.open(url) as source, Store.open(other_url, write=True) as target:
        made = source.copy_study("s", target, name)
        assert made == target.study(name or "s") and [s.name for s in target.studies()] == [name or "s"]
        assert everything(target, name or "s") == everything(filled, "s")
    old = optuna.load_study(study_name="s", storage=storages(url, write=False))
    new = optuna.load_study(study_name=name or "s", storage=storages(other_url))
    told = [[(t.number, t.params, t.values, t.state) for t in study.trials] for study in (new, old)]
    assert told[0] == told[1] and len(told[0]) == 2
    assert new.directions == old.directions


def test_a_copy_has_its_own_name_and_nobody_drives_it(filled: Store) -> None:
    before = filled.tickets("s")
    assert filled.copy_study("s", filled, "twin").spec["name"] == "twin"
    assert [(t.state, t.owner) for t in filled.tickets("twin")] == [("done", "me"), ("done", "me"), ("taken", None)]
    assert filled.tickets("s") == before


def test_a_copy_can_lie_beside_its_original(filled: Store) -> None:
    filled.copy_study("s", filled, "twin")
    assert everything(filled, "twin") == everything(filled, "s")


def test_a_study_that_optuna_has_not_seen_is_copied_too(store: Store, other_url: str, parts: Any) -> None:
    parts.fill(store)
    with Store.open(other_url, write=True) as target:
        store.copy_study("s", target)
        assert everything(target, "s") == everything(store, "s")


def test_nothing_is_overwritten(filled: Store, other_url: str, parts: Any, storages: Storages) -> None:
    with Store.open(other_url, write=True) as target:
        parts.fill(target, "s", ())
        before = everything(target, "s")
        with pytest.raises(StudyError, match="already"):
            filled.copy_study("s", target)
        assert everything(target, "s") == before
        optuna.create_study(study_name="theirs", storage=storages(other_url))
        with pytest.raises(StudyError, match="Optuna's tables have"):
            filled.copy_study("s", target, "theirs")
        with pytest.raises(StudyError, match="no study 'x'"):
            filled.copy_study("x", target)
        assert [s.name for s in target.studies()] == ["s"]


def test_a_copy_that_fails_leaves_nothing(
    filled: Store, other_url: str, storages: Storages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(copying, "_write_ours", full)
    with Store.open(other_url, write=True) as target:
        with pytest.raises(StoreError, match="disk is full"):
            filled.copy_study("s", target)
        assert target.studies() == []
    assert optuna.get_all_study_names(storages(other_url)) == []


@pytest.mark.parametrize(
    ("stop", "told"), [(KeyboardInterrupt(), KeyboardInterrupt), (StorageInternalError("it is full"), StoreError)]
)
def test_a_copy_that_is_stopped_half_way_leaves_nothing_and_can_be_made_again(
    filled: Store,
    other_url: str,
    storages: Storages,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
    told: type[BaseException],
) -> None:
    made, begun = RDBStorage._create_new_trial, []
    stop.__cause__ = OperationalError("INSERT", {}, Exception("database or disk is full"))

    def second(self: RDBStorage, *given: Any, **named: Any) -> Any:
        begun.append(self)
        if len(begun) == 2:
            raise stop
        return made(self, *given, **named)

    optuna.create_study(study_name="theirs", storage=storages(other_url))
    monkeypatch.setattr(RDBStorage, "_create_new_trial", second)
    with Store.open(other_url, write=True) as target:
        with pytest.raises(told):
            filled.copy_study("s", target)
        assert (target.studies(), optuna.get_all_study_names(storages(other_url))) == ([], ["theirs"])
        filled.copy_study("s", target)
        assert everything(target, "s") == everything(filled, "s")
    assert len(optuna.load_study(study_name="s", storage=storages(other_url)).trials) == 2

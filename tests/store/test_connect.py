"""Reading never creates, changes or waits; what cannot be opened is told in words, without its password."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from prunesearch.errors import NewerSchemaError, StoreError
from prunesearch.store import SCHEMA_VERSION, Store
from prunesearch.store.connect import told
from prunesearch.store.optuna_storage import close_storage, optuna_storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    ("url", "what", "hint"),
    [
        ("{}/none/x.db", "no folder", "create it first"),
        ("{}", "is a folder", "path of a file"),
        ("{}/words.txt", "file is not a database", "something else"),
        ("{}/words.txt/x.db", "no folder", "create it first"),
    ],
)
def test_a_bad_file_is_told_and_left_alone(tmp_path: Path, url: str, what: str, hint: str, write: bool) -> None:
    words = tmp_path / "words.txt"
    words.write_text("no database at all " * 100)
    with pytest.raises(StoreError) as told:
        Store.open(f"sqlite:///{url.format(tmp_path)}", write=write)
    assert what in told.value.message and hint in (told.value.hint or "") and told.value.exit_code == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["words.txt"] and words.read_text() == "no database at all " * 100


@pytest.mark.parametrize(
    ("url", "what", "hint"),
    [
        ("prunesearch.db", "not the URL", "sqlite:///prunesearch.db"),
        ("", "not the URL", "sqlite:///prunesearch.db"),
        ("sqlite://", "in memory", "sqlite:///prunesearch.db"),
        ("sqlite:///:memory:", "in memory", "sqlite:///prunesearch.db"),
        ("dbase:///x", "no kind of database", "sqlite:///prunesearch.db"),
        ("oracle://me:secret@host/x", "is missing", "pip install"),
        ("postgresql://me:secret@127.0.0.1:1/x", "postgresql+psycopg://me:***@127.0.0.1:1/x", "check that the server runs"),
        ("postgresql://127.0.0.1:1/x?user=me&password=secret", "127.0.0.1:1/x", "check that the server runs"),
    ],
)
def test_a_bad_url_is_told_without_its_password(url: str, what: str, hint: str) -> None:
    with pytest.raises(StoreError) as told:
        Store.open(url, write=True)
    assert what in told.value.message and hint in (told.value.hint or "")
    assert "secret" not in f"{told.value} {told.value.hint}"


def test_a_missing_store_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store") as told:
        Store.open(f"sqlite:///{tmp_path / 'x.db'}")
    assert "quickstart" in (told.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_may_not_be_written_is_told() -> None:
    with pytest.raises(StoreError) as told:
        Store.open("sqlite:////proc/store.db", write=True)
    assert "unable to open" in told.value.message and "can be written" in (told.value.hint or "")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("attempt to write a readonly database", "check its permissions"),
        ("database is locked", "another program"),
        ("database disk image is malformed", "damaged"),
        ("disk I/O error", "disk space"),
        ('connection failed: FATAL:  password authentication failed for user "me"', "user and password"),
        ('connection failed: FATAL:  database "x" does not exist', "createdb"),
        ("something unheard of", "doctor"),
    ],
)
def test_every_failure_has_a_hint(words: str, hint: str) -> None:
    with pytest.raises(StoreError) as found, told(make_url("postgresql://me:secret@host/x")):
        raise OperationalError("SELECT 1", {}, Exception(f"{words}\nmore"))
    assert found.value.message == f"store postgresql://me:***@host/x: {words}" and hint in (found.value.hint or "")


def test_a_database_of_others_can_be_shared_but_holds_no_studies(url: str, storages: Any) -> None:
    storages(url)
    with pytest.raises(StoreError, match="holds no studies of prunesearch"):
        Store.open(url)
    with Store.open(url, write=True) as store:
        assert store.studies() == []


@pytest.mark.parametrize("write", [True, False])
def test_a_newer_schema_is_refused_and_left_alone(url: str, write: bool) -> None:
    newer = str(SCHEMA_VERSION + 1)
    with Store.open(url, write=True) as store, store._engine.begin() as connection:
        connection.execute(text("DROP TABLE prunesearch_fronts"))
        connection.execute(text("UPDATE prunesearch_meta SET value = :v WHERE key = 'schema_version'"), {"v": newer})
    with pytest.raises(NewerSchemaError, match=f"schema version {newer}") as told:
        Store.open(url, write=write)
    assert "install a newer prunesearch" in (told.value.hint or "") and told.value.exit_code == 4


def test_what_made_the_tables_is_noted_once(url: str) -> None:
    for version in ("0.1.0", "0.2.0"):
        with Store.open(url, write=True, code_version=version) as store, store._engine.connect() as connection:
            found = {row.key: row.value for row in connection.execute(text("SELECT key, value FROM prunesearch_meta"))}
    assert found["created_by"] == "prunesearch 0.1.0" and found["schema_version"] == str(SCHEMA_VERSION)


def test_the_settings_of_writers_and_readers(sqlite_url: str, storages: Any) -> None:
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with Store.open(sqlite_url, write=True) as store, store._engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    with storages(sqlite_url).engine.connect() as connection:
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == found == ["wal", 1, 1, 60_000]


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_reading_a_store_at_rest_changes_no_file(tmp_path: Path, sqlite_url: str, parts: Any, storages: Any) -> None:
    with Store.open(sqlite_url, write=True) as store:
        parts.fill(store)
    close_storage(optuna_storage(sqlite_url))
    before = files(tmp_path)
    assert optuna.get_all_study_names(storages(sqlite_url, write=False)) == []
    with Store.open(sqlite_url) as store:
        store.trial("s", 0)
        assert files(tmp_path) == before
        with pytest.raises(StoreError, match="readonly"):
            store.set_spec("s", {})
    assert files(tmp_path) == before and list(before) == ["store.db"]


def test_a_reader_that_stays_open_sees_what_is_written_later(sqlite_url: str, parts: Any) -> None:
    with Store.open(sqlite_url, write=True) as store:
        parts.fill(store)
    with Store.open(sqlite_url) as reader:
        assert reader.counts("s") == {"complete": 2}
        with Store.open(sqlite_url, write=True) as store:
            parts.run(store, "s", parts.result())
            assert reader.counts("s") == {"complete": 3}
        assert reader.counts("s") == {"complete": 3}


def test_the_last_words_of_a_killed_writer_are_read(tmp_path: Path, sqlite_url: str, parts: Any) -> None:
    with Store.open(sqlite_url, write=True) as store:
        parts.fill(store)
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            shutil.copy(tmp_path / name, crashed / name)
    with Store.open(f"sqlite:///{crashed / 'store.db'}") as reader:
        assert reader.counts("s") == {"complete": 2}


def test_reading_does_not_wait_for_a_writer(url: str, parts: Any, storages: Any) -> None:
    with Store.open(url, write=True) as store:
        parts.fill(store)
    optuna.create_study(study_name="s", storage=storages(url))
    driver = Store.open(url, write=True)  # a driver that reads, too
    command = [sys.executable, str(Path(__file__).with_name("workers.py")), "hold", url, "s"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "holding\n"
        begun = time.perf_counter()
        with Store.open(url) as reader:
            assert reader.study("s").code_version == "0.1.0" and len(reader.trials("s")) == 2
        assert driver.counts("s") == {"complete": 2}
        assert optuna.get_all_study_names(storages(url, write=False)) == ["s"]
        driver.close()
        took = time.perf_counter() - begun
        writer.communicate("")
    assert took < 5.0 and writer.returncode == 0
    with Store.open(url) as reader:
        assert reader.study("s").code_version == "half-written"


def test_a_file_name_may_hold_anything(tmp_path: Path, parts: Any) -> None:
    name = "100% über?#&=.db"
    url = f"sqlite:///{tmp_path / name.replace('?', '')}"
    with Store.open(url, write=True) as store:
        parts.fill(store)
    with Store.open(url) as store:
        assert store.counts("s") == {"complete": 2}
    assert [p.name for p in tmp_path.iterdir()] == [name.replace("?", "")]


def test_a_relative_file_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///prunesearch.db", write=True):
        pass
    with sqlite3.connect(tmp_path / "prunesearch.db") as plain:
        assert plain.execute("SELECT count(*) FROM prunesearch_studies").fetchone() == (0,)
    plain.close()


def test_opening_for_reading_loads_neither_torch_nor_optuna(sqlite_url: str, parts: Any) -> None:
    with Store.open(sqlite_url, write=True) as store:
        parts.fill(store)
        store.record_front("s", 1, [0, 1], 0.5, of=store.ended("s"))
    code = f"""
import sys
from prunesearch.store import Store
with Store.open({sqlite_url!r}) as store:
    store.front("s").to_dict()
print([m for m in ("torch", "optuna", "numpy", "sqlalchemy.orm") if m in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

"""From a database URL to an engine: one factory, so that every connection has the same settings, and errors in words.

SQLite: writers use WAL, `synchronous=NORMAL` and BEGIN IMMEDIATE (without it, two writers that both read first
deadlock, and Optuna ran queued trials twice: 45-50 of 64 distinct); readers open the file read-only and begin plainly,
so that they never wait for a writer. PostgreSQL: psycopg 3; readers use read-only snapshots.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from prunesearch.errors import StoreError, first_line
from prunesearch.store.rows import to_json

BUSY_SECONDS = 60.0
"""How long a SQLite writer waits for another one."""

CONNECT_SECONDS = 10
"""How long a database server may take to answer."""

_HOW = "write sqlite:///prunesearch.db, or postgresql://user:password@host/database"


def parse_url(url: str) -> URL:
    """The URL, with PostgreSQL's plain forms meaning psycopg 3.

    Raises:
        StoreError: not a URL, or an in-memory database, which no second process could see.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"'{url}' is not the URL of a database", _HOW) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("a store in memory ends with its process", _HOW)
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL, None for other databases."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def make_engine(url: URL, *, write: bool) -> Engine:
    """An engine whose connections all have the settings above.

    Raises:
        StoreError: the database's driver is not installed, or the file or its folder is not there.
    """
    with told(url):
        engine = create_engine(url, json_serializer=to_json, **engine_options(url, write=write))
    add_listeners(engine, write=write)
    return engine


def engine_options(url: URL, *, write: bool) -> dict[str, Any]:
    """What `create_engine` is given, by Optuna too: how connections are made and kept.

    Raises:
        StoreError: the file or its folder is not there.
    """
    path = sqlite_path(url)
    if path is not None:
        check_path(path, write=write)
        return {"creator": _opener(path, write=write), "poolclass": QueuePool if write else NullPool}
    answers = url.get_backend_name() in ("postgresql", "mysql", "mariadb")
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_SECONDS} if answers else {}}


def check_path(path: Path, *, write: bool) -> None:
    """Refuse what SQLite would tell as "unable to open database file".

    Raises:
        StoreError: naming the missing folder, or the missing file when only reading.
    """
    if not path.parent.is_dir():
        raise StoreError(f"no folder '{path.parent}' for the store", "create it first, or give another --store")
    if path.is_dir():
        raise StoreError(f"the store '{path}' is a folder", "give the path of a file: sqlite:///prunesearch.db")
    if not write and not path.exists():
        raise StoreError(
            f"there is no store '{path}'", "'prunesearch search quickstart' makes one; --store says where another one is"
        )


def _opener(path: Path, *, write: bool) -> Callable[[], sqlite3.Connection]:
    """How a connection is made; BEGIN is left to the listeners.

    A read-only connection to a store at rest is `immutable`: otherwise SQLite leaves a -wal and a -shm file behind, or
    fails in a folder that may not be written. It lives for one transaction (NullPool), so that it sees later writers.
    """

    def opened() -> sqlite3.Connection:
        at_rest = not any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))
        mode = "mode=rwc" if write else "mode=ro&immutable=1" if at_rest else "mode=ro"
        name = f"file:{quote(str(path.absolute()))}?{mode}"
        return sqlite3.connect(name, uri=True, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE", check_same_thread=False)

    return opened


def add_listeners(engine: Engine, *, write: bool) -> None:
    """For SQLite: pragmas at every connection, and BEGIN (IMMEDIATE for writers) at every transaction."""
    if engine.dialect.name != "sqlite":
        return

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        if write:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous=NORMAL")

    def begun(connection: Connection) -> None:
        reads = not write or connection.get_execution_options().get("reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def _write_ahead(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and never locks it."""
    options: dict[str, Any] = {"reads": True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with told(engine.url), engine.connect() as connection, connection.execution_options(**options).begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed as a whole, or not at all."""
    with told(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn the database's errors into a StoreError with a hint; passwords are masked.

    Raises:
        StoreError: for every error of SQLAlchemy or a missing driver.
    """
    where = url.render_as_string(hide_password=True)
    try:
        yield
    except NoSuchModuleError:
        raise StoreError(f"no kind of database is called '{url.drivername}'", _HOW) from None
    except ModuleNotFoundError as error:
        raise StoreError(f"store {where}: the package '{error.name}' is missing", f"pip install {error.name}") from None
    except SQLAlchemyError as error:
        text = first_line(getattr(error, "orig", None) or error)
        raise StoreError(f"store {where}: {text}", _hint(text)) from error


_HINTS = (
    ("not a database|file is encrypted", "the file is something else: give another --store"),
    ("malformed|disk image", "the file is damaged: restore a copy; 'sqlite3 FILE .recover' saves what can be read"),
    ("readonly|read-only|permission denied", "the store cannot be written: check its permissions, or give another --store"),
    ("unable to open", "check that the folder exists and can be written, or give another --store"),
    ("locked", f"another program held the store for {BUSY_SECONDS:g} s: close it and run the same command again"),
    ("disk i/o|full|no space", "free some disk space and run the same command again"),
    ("password|authentication|role .* does not exist", "check user and password in the URL"),
    ("database .* does not exist", "create the database first, for instance with createdb"),
    ("connect|timeout|refused|resolve|server|network", "check that the server runs and that host and port are right"),
)


def _hint(text: str) -> str:
    for pattern, hint in _HINTS:
        if re.search(pattern, text, re.IGNORECASE):
            return hint
    return "'prunesearch doctor' looks at the store"

"""Optuna's storage over the same database, with the same settings. The only place here that imports Optuna."""

from __future__ import annotations

import logging
import random
import time

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from prunesearch.errors import StoreError
from prunesearch.store.connect import add_listeners, check_path, connect_args, parse_url, sqlite_path, told

_TRIES = 8


def optuna_storage(url: str) -> RDBStorage:
    """Optuna's storage at the store's URL. Never pickle it: that loses the listeners; build it anew from the URL.

    Raises:
        StoreError: the database cannot be opened, or Optuna's tables in it are of another version.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None:
        check_path(path, write=True)
    with told(parsed):
        storage = _built(parsed.render_as_string(hide_password=False), connect_args(parsed))
    if path is not None:
        add_listeners(storage.engine, write=True)
        storage.engine.dispose()  # connections made before the listeners
    return storage


def _built(url: str, arguments: dict[str, object]) -> RDBStorage:
    """The storage. Optuna checks for its tables and then creates them, so two first drivers collide: once more then."""
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(url, engine_kwargs={"connect_args": arguments})
        except RuntimeError as error:
            raise StoreError(
                f"Optuna's tables are of another version: {error}", "use the Optuna version that made them"
            ) from None
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            if not left or not _collided(error):
                raise
            time.sleep(random.uniform(0.05, 0.3))
    raise AssertionError("unreachable")


def _collided(error: Exception) -> bool:
    return isinstance(error, IntegrityError) or "exists" in str(error) or "locked" in str(error)

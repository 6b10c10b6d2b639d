"""Optuna's storage over the same database, with the same settings. Only this file and `copying` import Optuna."""

from __future__ import annotations

import logging
import random
import time

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from prunesearch.errors import StoreError
from prunesearch.store.connect import add_listeners, engine_options, parse_url, told

_TRIES = 10


def optuna_storage(url: str, *, write: bool = True) -> RDBStorage:
    """Optuna's storage at the store's URL. Never pickle it: that loses its listeners; build it anew from the URL.

    Args:
        url: the store's URL.
        write: create Optuna's tables where they are missing. Without it the database is never changed or locked.

    Raises:
        StoreError: the database cannot be opened, or Optuna's tables are missing or of another version.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    parsed = parse_url(url)
    with told(parsed):
        storage = _built(parsed, write=write)
    add_listeners(storage.engine, write=write)
    storage.engine.dispose()  # connections made before the listeners
    return storage


def close_storage(storage: RDBStorage) -> None:
    """Close all connections of `optuna_storage`. Safe to call twice."""
    storage.remove_session()
    storage.engine.dispose()


def _built(url: URL, *, write: bool) -> RDBStorage:
    """The storage. Optuna looks for its tables and then creates them, so two first drivers collide: once more then."""
    plain, options = url.render_as_string(hide_password=False), engine_options(url, write=write)
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(plain, engine_kwargs=dict(options), skip_table_creation=not write)
        except RuntimeError as error:
            raise StoreError(
                f"Optuna's tables are of another version: {error}", "use the Optuna version that made them"
            ) from None
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            if not (left and write and _collided(error)):
                raise
            time.sleep(random.uniform(0.05, 0.3))
    raise StoreError("Optuna's tables could not be created", "run the same command again")


def _collided(error: Exception) -> bool:
    return isinstance(error, IntegrityError) or "already exists" in str(error) or "locked" in str(error)

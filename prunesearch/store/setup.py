"""Making our tables, adding those that an older prunesearch did not have, and refusing a newer one's database."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, inspect, select, text, update

from prunesearch.errors import NewerSchemaError, StoreError
from prunesearch.store.connect import reading, writing
from prunesearch.store.rows import now
from prunesearch.store.schema import SCHEMA_VERSION, meta, metadata

_LOCK = 7_286_243_115  # any number that nobody else locks: two first drivers must not create the tables at once


def prepare(engine: Engine, code_version: str) -> None:
    """Create the tables where they are missing, all of them or those that later versions have added.

    Raises:
        NewerSchemaError: the tables are of a newer version.
        StoreError: the database cannot be written.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = schema_version(connection)
        if found != SCHEMA_VERSION:
            metadata.create_all(connection)
        if found is None:
            values = {"schema_version": str(SCHEMA_VERSION), "created_by": f"prunesearch {code_version}", "created_at": now()}
            connection.execute(insert(meta), [{"key": k, "value": v} for k, v in values.items()])
        elif found != SCHEMA_VERSION:
            connection.execute(update(meta).where(meta.c.key == "schema_version").values(value=str(SCHEMA_VERSION)))


def check(engine: Engine) -> None:
    """Refuse to read what is not ours.

    Raises:
        NewerSchemaError: the tables are of a newer version.
        StoreError: the database cannot be read, or holds no studies of prunesearch.
    """
    with reading(engine) as connection:
        version = schema_version(connection)
    if version is None:
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"{where} holds no studies of prunesearch", "'prunesearch search quickstart' makes one; --store says where"
        )


def schema_version(connection: Connection) -> int | None:
    """Version of the tables, None where there are none.

    Raises:
        NewerSchemaError: it is newer than this program's.
    """
    if not inspect(connection).has_table(meta.name):
        return None
    found = connection.execute(select(meta.c.value).where(meta.c.key == "schema_version")).scalar_one_or_none()
    version = int(found) if found and found.isdigit() else 0
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"the store has schema version {version}, this prunesearch knows versions up to {SCHEMA_VERSION}",
            "install a newer prunesearch, or give another --store",
        )
    return version

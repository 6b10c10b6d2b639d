"""A store on SQLite and on a real PostgreSQL, and parts to fill it with."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from prunesearch.policy import Policy
from prunesearch.results import (
    DenseReference,
    EpochRow,
    GroupInfo,
    LatencySpec,
    LayerRow,
    Measures,
    Result,
    TaskInfo,
    Timings,
)
from prunesearch.store import Store
from prunesearch.store.optuna_storage import close_storage, optuna_storage

SPEC = {"name": "s", "task": "digits-mlp", "objectives": ["accuracy", "params"], "trials": 10}


@dataclass(frozen=True)
class Parts:
    """Plain data to put into a store."""

    def policy(self, threshold: float = 0.5) -> Policy:
        return Policy.parse({"epochs": 5, "threshold": threshold, "function": "gradual", "converge_over": 2})

    def measures(self, accuracy: float = 0.9, params: int = 100, latency_ms: float | None = 0.5) -> Measures:
        return Measures(accuracy, params, 2 * params, 3 * params, 4 * params, 1 - params / 1000, 1.5, 0.89, latency_ms)

    def result(self, accuracy: float = 0.9, params: int = 100) -> Result:
        return Result(
            "complete",
            self.measures(accuracy, params),
            epochs=tuple(EpochRow(e, 1.0 / (e + 1), accuracy, 1e-3, 0.1 * e, 0.25, e == 0) for e in range(5)),
            layers=(LayerRow("fc1", "weight", params, 800), LayerRow("fc2", "weight", 10, 200)),
            signature="abc",
            notes=("fc2 held at min_units",),
            device="cpu, 1 thread",
            timings=Timings(train=1.0, validate=0.25, other=0.25),
            epochs_trained=4,
            report={"f1": [0.5, 0.75]},
        )

    def info(self) -> TaskInfo:
        group = GroupInfo("fc1", "weight", ("fc1.weight",), 800, 800)
        return TaskInfo("digits-mlp", "d1", 5, "accuracy", "maximize", (group,), False, 1000, 990, (9, 3, 3), 10, (64,), "cpu")

    def dense(self) -> DenseReference:
        done = self.result(0.97, 1000)
        return DenseReference(
            self.measures(0.97, 1000), "sig", LatencySpec(batch_size=4), done.epochs, done.layers, {"f1": [1.0]}
        )

    def fill(self, store: Store, study: str = "s", figures: tuple[tuple[float, int], ...] = ((0.9, 100), (0.8, 50))) -> None:
        """A study with a dense row and one finished trial per (accuracy, params)."""
        store.create_study(study, SPEC | {"name": study}, self.info(), "0.1.0", {"python": "3.11"})
        store.set_dense(study, self.dense(), 2.0)
        for accuracy, params in figures:
            self.run(store, study, self.result(accuracy, params))

    def run(self, store: Store, study: str, result: Result, feasible: bool = True) -> int:
        """Take a ticket, start a trial and record a result; gives the trial's number."""
        ticket = store.take_ticket(study, 1000, "me")
        assert ticket is not None
        policy = self.policy(0.1 + 0.001 * ticket.number)
        assert store.bind_ticket(ticket, ticket.number)
        store.start_trial(study, ticket.number, ticket, policy, policy.digest, 0)
        assert store.record_result(study, ticket.number, result, {"params": -1.0}, feasible)
        return ticket.number


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL on a Unix socket in a temporary folder; every call gives the URL of a new, empty database."""
    pgserver = pytest.importorskip("pgserver", reason="the wheel with PostgreSQL is not made for this Python")
    from sqlalchemy import create_engine, make_url, text

    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR under some runners
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    plain = make_url(server.get_uri())
    admin = create_engine(plain.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nothing here outlives the run: 70 s less
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))

    def fresh() -> str:
        name = f"t{uuid.uuid4().hex}"
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return plain.set(database=name).render_as_string(hide_password=False)

    yield fresh
    admin.dispose()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return fresh()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def storages() -> Iterator[Callable[..., RDBStorage]]:
    """`optuna_storage`, closed again after the test."""
    with ExitStack() as stack:

        def opened(url: str, *, write: bool = True) -> RDBStorage:
            storage = optuna_storage(url, write=write)
            stack.callback(close_storage, storage)
            return storage

        yield opened


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url, write=True, code_version="0.1.0") as opened:
        yield opened

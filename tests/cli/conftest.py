"""A store with one finished study, written through the store itself, and a way to run commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from prunesearch.cli.main import main
from prunesearch.policy import Policy
from prunesearch.results import DenseReference, EpochRow, GroupInfo, LatencySpec, LayerRow, Measures, Result, TaskInfo
from prunesearch.spec import StudySpec
from prunesearch.store import Store

DENSE_PARAMS = 17_226
GROUPS = (
    GroupInfo("fc1", "weight", ("fc1.weight",), 8192, 8192),
    GroupInfo("out", "weight", ("out.weight",), 640, 640, "the output layer"),
)
INFO = TaskInfo(
    "digits-mlp", "d1", 10, "accuracy", "maximize", GROUPS, False, DENSE_PARAMS, 17_000, (1150, 287, 360), 10, (64,), "cpu"
)
Figures = tuple[float, int, float, bool]
"""Accuracy, parameters, latency ratio, whether it is feasible."""
TRIALS: list[Figures] = [
    (0.97, 9000, 0.9, True),
    (0.96, 3000, 1.0, True),
    (0.93, 900, 0.5, True),
    (0.95, 9500, 0.95, True),  # dominated by trial 0
    (0.50, 100, 0.4, False),
]
OBJECTIVES = ("accuracy", "params", "latency_ms")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def measures(accuracy: float, params: int, ratio: float) -> Measures:
    share = params / DENSE_PARAMS
    return Measures(
        accuracy, params, params, params, 4 * params, 1 - share, 1.5, accuracy - 0.01, 0.04 * ratio, 0.001, ratio, 0.02
    )


def fill(
    url: str,
    name: str = "small",
    trials: Sequence[Figures] = TRIALS,
    info: TaskInfo = INFO,
    objectives: Sequence[str] = OBJECTIVES,
) -> None:
    """A study with these trials, its last one failed."""
    given = {"name": name, "task": "digits-mlp", "epochs": 10, "trials": 8, "objectives": objectives}
    spec = StudySpec.parse({**given, "constraints": {"accuracy": ">= 0.9"}})
    dense = DenseReference(measures(0.975, DENSE_PARAMS, 1.0), "s", LatencySpec(), (EpochRow(0, 1.0, 0.975, 1e-3, 0.0, 0.2),))
    with Store.open(url, write=True, code_version="1.2.3") as store:
        store.create_study(name, spec.to_dict(), info, "1.2.3", {"python": "3.11"})
        store.set_dense(name, dense, 2.0)
        for number, (accuracy, params, ratio, feasible) in enumerate(trials):
            result = Result(
                "complete" if feasible else "infeasible",
                measures(accuracy, params, ratio),
                (EpochRow(0, 2.3, accuracy / 2, 1e-3, 0.5, 0.1), EpochRow(1, 0.3, accuracy, 1e-3, 0.9, 0.1)),
                (LayerRow("fc1", "weight", 819, 8192),),
                reason=None if feasible else "accuracy is below its bound",
                device="cpu, 1 thread",
            )
            _record(store, name, number, result, feasible)
        if trials is TRIALS:
            store.record_front(name, 3, [0, 1, 2], 0.5, of=store.ended(name))
        _record(store, name, len(trials), Result("failed", None, reason="loss is not a number", trace="Traceback: boom"), False)


def _record(store: Store, name: str, number: int, result: Result, feasible: bool) -> None:
    policy = Policy(
        epochs=10, function="gradual", threshold=0.5 + number / 20, scope="global", epoch_threshold=1, converge_over=5
    )
    ticket = store.take_ticket(name, 8, "tester")
    assert ticket is not None
    store.start_trial(name, number, ticket, policy, policy.digest, 0)
    store.record_result(name, number, result, {"accuracy": 0.0 if feasible else 0.4}, feasible)


@pytest.fixture(name="fill")
def _fill() -> Callable[..., None]:
    return fill


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'studies.db'}"
    fill(found)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command line in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def ran(*argv: str) -> Ran:
        capsys.readouterr()
        code = main(argv)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return ran

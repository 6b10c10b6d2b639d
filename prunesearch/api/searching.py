"""`search`: from a study's name to its front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from prunesearch.api.about import version
from prunesearch.api.arguments import documented
from prunesearch.api.choosing import stored_front
from prunesearch.api.definitions import study_from
from prunesearch.api.engines import engine_spec, workers_of
from prunesearch.api.naming import TaskLike, named
from prunesearch.api.policies import load_plugins
from prunesearch.api.settings import home_folder, stage_settings, store_url
from prunesearch.engines import open_engine
from prunesearch.front import Front
from prunesearch.sensitivity import Sensitivity
from prunesearch.spec import StudySpec
from prunesearch.tasks import Task
from prunesearch.tasks.reference import parse_reference

if TYPE_CHECKING:
    from prunesearch.report.progress import News
    from prunesearch.store import Store


@documented
def search(
    study: str | Path | StudySpec | None = None,
    *,
    task: TaskLike | None = None,
    name: str | None = None,
    as_: str | None = None,
    trials: int | None = None,
    more: int | None = None,
    timeout: float | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    workers: str | int | None = None,
    workers_per_gpu: str | int | None = None,
    engine: str | None = None,
    device: str | None = None,
    sampler: str | None = None,
    numerics: str | None = None,
    sensitivity: str | Path | Sensitivity | None = None,
    store: str | None = None,
    data_dir: str | None = None,
    keep: Literal["front", "all", "none"] = "front",
    artifacts: str | None = None,
    stage_budget: float | None = None,
    dry_run: bool = False,
    plugin: Sequence[str] = (),
    listener: Callable[[News], None] | None = None,
) -> Front:
    """Search for pruning policies until the study has its trials; the same command goes on where it was stopped.

    Ctrl-C and SIGTERM end it cleanly: what is finished stays in the store, and the front so far is returned.

    Returns:
        The Pareto front of all trials of the study.

    Raises:
        UsageError: neither a study nor a task was named.
        StudyError: there is no such study, it is not valid, or the stored one was defined otherwise.
        TaskError: the task does not load, or its dense network cannot be trained.
        StoreError: the store cannot be read and written.
        InfeasibleError: all trials ended and none is feasible.
        EnvironmentFailure: data, device or memory is missing, or all trials failed.
    """
    from prunesearch.search.driver import run_search

    load_plugins(plugin)
    given: dict[str, Any] = {"trials": trials, "timeout": timeout, "seed": seed, "epochs": epochs, "device": device}
    given |= {"sampler": sampler, "sensitivity": sensitivity, "numerics": numerics}
    given |= {"workers_per_gpu": workers_of(workers_per_gpu, "workers-per-gpu"), "workers": workers_of(workers)}
    given |= {"name": as_ or name, "engine": "fake" if dry_run else engine}
    spec, own = _asked(study, task, given, store)
    how = engine_spec(spec, data_dir, plugin, stage_settings(stage_budget))
    kept = None if artifacts is None or dry_run else Path(artifacts).resolve()
    with _opened(store, dry_run=dry_run) as opened, open_engine(spec.engine, how, task=own) as runs:
        _tell_known(opened, spec.name, listener)
        shared = how.stages is not None and spec.engine != "fake"
        return run_search(spec, opened, runs, home_folder(), more, listener, keep=keep, artifacts=kept, shared=shared).front


def _asked(
    study: str | Path | StudySpec | None, task: TaskLike | None, given: dict[str, Any], store: str | None
) -> tuple[StudySpec, Task | None]:
    """The study that was asked for, and its task where only this process has it; such a task is run in this process."""
    ref, own = (None, None) if task is None else named(task)
    if own is not None and given["engine"] is None:
        given = given | {"engine": "serial"}
    spec = study_from(study, given | {"task": ref}, store)
    if own is None:
        parse_reference(spec.task)  # raises for what no engine could load, before anything is stored
    return spec, own


@contextmanager
def _opened(store: str | None, *, dry_run: bool) -> Iterator[Store]:
    """The store for writing; for a rehearsal one that is thrown away."""
    from prunesearch.store import Store

    if not dry_run:
        with Store.open(store_url(store), write=True, code_version=version()) as opened:
            yield opened
        return
    with TemporaryDirectory(prefix="prunesearch-dry-") as folder:
        url = f"sqlite:///{Path(folder) / 'rehearsal.db'}"
        with Store.open(url, write=True, code_version=version()) as opened:
            yield opened


def _tell_known(store: Store, study: str, listener: Callable[[News], None] | None) -> None:
    """The front that the study has already, as the first news."""
    if listener is None:
        return
    for record in store.studies():
        if record.name == study:
            listener(stored_front(store, record))

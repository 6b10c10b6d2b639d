"""`export` and `load`: from a study's trial to a folder to ship, and back to the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prunesearch.api.arguments import documented
from prunesearch.api.choosing import Choice, open_store, stored_front, stored_study
from prunesearch.api.engines import engine_spec, run_job
from prunesearch.api.naming import TaskLike, named
from prunesearch.api.policies import read_policy
from prunesearch.api.settings import data_folder, stage_settings
from prunesearch.drafts import beside
from prunesearch.engines import open_engine
from prunesearch.errors import EnvironmentFailure, TrialError, UsageError
from prunesearch.export.about import About
from prunesearch.export.bundle import refuse_existing, write_bundle
from prunesearch.results import ARCHITECTURE, DENSE, WEIGHTS, Job, Result
from prunesearch.search.folders import belongs
from prunesearch.spec import StudySpec

if TYPE_CHECKING:
    from torch import nn

    from prunesearch.store import ExactRecord, StudyRecord, TrialRecord


@documented
def export(
    study: str | None = None,
    *,
    trial: int | None = None,
    knee: bool = False,
    where: str | None = None,
    by: str | None = None,
    to: str | None = None,
    device: str | None = None,
    data_dir: str | None = None,
    store: str | None = None,
    plugin: Sequence[str] = (),
) -> str:
    """Write one policy of the front with its network to a folder: policy, weights, architecture, card.

    The weights are those that the search kept; without them, or where another study has used their folder since, the trial is
    run again, and has to give the recorded figures. Of a study in fast numerics the weights and figures are those of training
    in exact, which is done now where it was not yet.

    Returns:
        The folder, by default `STUDY-trial-N` in the current one. It must not exist.

    Raises:
        StudyError: the study is not in the store.
        TrialError: it has no such trial, or the trial left no network.
        UsageError: no single policy was chosen, or the folder is there already.
        InfeasibleError: nothing satisfies the choice.
        EnvironmentFailure: running again gave other figures, or the folder cannot be written.
    """
    choice = Choice(trial, knee, where, by)
    with open_store(store) as opened:
        record = stored_study(opened, study)
        number = choice.trial if choice.trial is not None else choice.row(stored_front(opened, record)).trial
        chosen, again = opened.trial(record.name, number), opened.exact(record.name)
    if chosen.measures is None:
        raise _no_network(chosen)
    target = refuse_existing(to or f"{record.name}-trial-{number}")
    if record.spec.get("numerics", "exact") != "exact":
        record, chosen = in_exact(record, chosen, again)
    with _network(record, chosen, target, (device, data_folder(data_dir), tuple(plugin))) as (network, found):
        return str(write_bundle(target, network, about_trial(record, found, tuple(plugin))))


def in_exact(study: StudyRecord, trial: TrialRecord, exact: Mapping[int, ExactRecord]) -> tuple[StudyRecord, TrialRecord]:
    """A study in fast numerics and one of its trials as exact numerics have them; without measures where nobody has yet.

    Raises:
        TrialError: in exact numerics the trial left no network.
    """
    found, dense = exact.get(trial.number), exact.get(DENSE)
    reference = replace(study.dense, measures=dense.measures) if study.dense and dense and dense.measures else None
    study = replace(study, spec={**study.spec, "numerics": "exact"}, dense=reference)
    if found is None:
        return study, replace(trial, measures=None, kept_in=None, layers=(), notes=())
    again = _with(trial, found.result)
    if again.measures is None:
        raise _no_network(again)
    return study, again


def _with(trial: TrialRecord, result: Result) -> TrialRecord:
    """A trial with another result."""
    same = ("state", "measures", "layers", "notes", "kept_in", "device", "reason")
    return replace(trial, **{name: getattr(result, name) for name in same})


@documented
def load(bundle: str | Path, *, task: TaskLike | None = None, data_dir: str | None = None) -> nn.Module:
    """Load the pruned network of a bundle: a fresh instance of the task's class with the recorded widths and weights.

    Nothing is unpickled. A task in Python is imported: the one that `task` says, else the one that architecture.json names, told
    from the current folder. Python that lies in the bundle itself is not: who made the bundle could have it do anything.

    Returns:
        The torch.nn.Module, on the CPU, in eval mode.

    Raises:
        UsageError: the folder is no bundle.
        TaskError: the task does not load, or the bundle names none that can be; its network is of another class, or the
            weights are damaged.
        EnvironmentFailure: the weights are missing.
    """
    from prunesearch.export.loading import load_bundle

    ref, own = (None, None) if task is None else named(task)
    return load_bundle(bundle, ref if own is None else own, data_folder(data_dir))


def about_trial(study: StudyRecord, trial: TrialRecord, plugins: tuple[str, ...]) -> About:
    """What the card says of a stored trial.

    Args:
        study: whose trial it is.
        trial: with its figures.
        plugins: files with criteria that were given.

    Raises:
        TrialError: the trial left no network.
    """
    if trial.measures is None:
        raise _no_network(trial)
    return About(
        task=str(study.spec["task"]),
        policy=trial.policy,
        digest=trial.digest,
        seed=trial.seed,
        measures=trial.measures,
        dense=study.dense,
        metric=study.info.metric if study.info else "accuracy",
        maximize=study.info is None or study.info.direction == "maximize",
        layers=trial.layers,
        notes=trial.notes,
        device=trial.device,
        asked_device=str(study.spec.get("device", "auto")),
        plugins=plugins,
        numerics=str(study.spec.get("numerics", "exact")),
        study=study.name,
        trial=trial.number,
        confirmed=trial.confirmed,
        code_version=study.code_version,
        environment=study.environment,
    )


def _no_network(trial: TrialRecord) -> TrialError:
    told = f"trial {trial.number} left no network: it is {trial.state} ({trial.reason or 'no reason'})"
    return TrialError(told, "choose one of the front")


@contextmanager
def _network(
    study: StudyRecord, trial: TrialRecord, to: Path, how: tuple[str | None, str | None, tuple[str, ...]]
) -> Iterator[tuple[str, TrialRecord]]:
    """A folder with the trial's network, the kept one or, beside `to`, that of running it again; and the trial's figures."""
    kept = Path(trial.kept_in) if trial.kept_in else None
    if kept and _kept(kept, study):
        yield str(kept), trial
        return
    with beside(to) as draft:
        again = run_again(study, trial, *how, keep_to=str(draft))
        yield str(draft), trial if trial.measures else _with(trial, again)


def _kept(folder: Path, study: StudyRecord) -> bool:
    return all((folder / name).exists() for name in (WEIGHTS, ARCHITECTURE)) and belongs(folder.parent, study.created_at)


def run_again(
    study: StudyRecord, trial: TrialRecord, device: str | None, data_dir: str | None, plugins: tuple[str, ...], **wanted: str
) -> Result:
    """Run a stored trial once more, in its study's numerics.

    Args:
        study: whose trial it is.
        trial: from its policy and seed; without measures nothing is compared.
        device: where; None: where the study's trials run.
        data_dir: where data sets lie.
        plugins: files with criteria.
        wanted: what the run shall leave, as fields of a `Job`: `keep_to`, `record_to`.

    Raises:
        UsageError: its figures were invented.
        EnvironmentFailure: accuracy or parameters are not the recorded ones.
    """
    asked = StudySpec.parse(study.spec, f"stored study '{study.name}'")
    if asked.engine == "fake":
        raise UsageError(f"study '{study.name}' was rehearsed with invented figures", "search without --engine fake first")
    policy = read_policy(trial.policy, plugins)
    how = replace(engine_spec(asked, data_dir, plugins, stage_settings()), epochs=policy.epochs, workers=1)
    with open_engine("serial", how if device is None else replace(how, device=device)) as engine:
        job = Job(trial.number, policy, policy.epochs, trial.seed, None, study.dense, {}, test=False, **wanted)  # type: ignore[arg-type]
        result = run_job(engine, job)
    again, old = result.measures, trial.measures
    if old and (again is None or (again.accuracy, again.params) != (old.accuracy, old.params)):
        told = f"{again.accuracy:.6g} with {again.params:,} parameters" if again else "nothing"
        was = f"{old.accuracy:.6g} with {old.params:,}"
        raise EnvironmentFailure(
            f"running trial {trial.number} again gave {told}, not {was}: it was recorded on {trial.device}",
            "do it where it was recorded, or keep networks while searching: --artifacts DIR",
        )
    return result

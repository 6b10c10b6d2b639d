"""`check` and `groups`: what a study is and would cost, before hours are spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prunesearch.api.arguments import documented
from prunesearch.api.definitions import definition, study_from
from prunesearch.api.engines import engine_spec, workers_of
from prunesearch.api.policies import load_plugins
from prunesearch.api.settings import data_folder, stage_settings
from prunesearch.engines import EngineSpec
from prunesearch.errors import StoreError, StudyError, UsageError
from prunesearch.results import GroupInfo, TaskInfo
from prunesearch.spec import StudySpec
from prunesearch.tasks.reference import parse_reference

if TYPE_CHECKING:
    from prunesearch.search.space import SearchSpace


@dataclass(frozen=True)
class Checked:
    """What `check` found.

    Args:
        study: the study, with what the flags changed.
        info: what its task is.
        epochs: N.
        dimensions: searched parameters of the branch that has most.
        notes: what of the space the network has nothing for.
        seconds_per_epoch: to train and validate once, one worker.
        seconds_per_trial: epochs times that; evaluation at the end comes on top.
        peak_mb: memory of one worker, in MB.
        workers: trials at a time.
        seconds: the whole search, dense reference included.
        fitting: trials that fit into the timeout, None without one.
        sharing: whether trials share epochs, in words.
    """

    study: StudySpec
    info: TaskInfo
    epochs: int
    dimensions: int
    notes: tuple[str, ...]
    seconds_per_epoch: float
    seconds_per_trial: float
    peak_mb: float
    workers: int
    seconds: float
    fitting: int | None
    sharing: str

    def to_dict(self) -> dict[str, Any]:
        """As plain data, as in `check --format json`."""
        plain = {k: v for k, v in vars(self).items() if k not in ("study", "info")}
        return {"study": self.study.name, "task": self.study.task, "trials": self.study.trials, **plain} | {
            "device": self.info.device,
            "params": self.info.params,
            "sizes": self.info.sizes,
            "groups": len(self.info.groups),
        }


@documented
def check(
    study: str | None = None,
    *,
    task: str | None = None,
    trials: int | None = None,
    timeout: float | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    workers: str | None = None,
    device: str | None = None,
    sensitivity: str | None = None,
    data_dir: str | None = None,
    store: str | None = None,
    plugin: Sequence[str] = (),
) -> Checked:
    """Check a study before hours are spent: definition, task and space; then train 20 batches to say what it costs.

    A task with a loader, loop, evaluation or optimiser of its own is also trained for four epochs, once, to find out whether
    its trials may share epochs: whether a network that goes on from another's snapshot stays equal to it in all bits.

    Raises:
        StudyError: the definition, its space or a policy to start from is not valid.
        TaskError: the task does not load or its parts do not fit together.
        EnvironmentFailure: data, device or memory is missing.
    """
    load_plugins(plugin)
    given = {"trials": trials, "timeout": timeout, "seed": seed, "epochs": epochs, "device": device, "task": task}
    spec = study_from(study, given | {"workers": workers_of(workers), "sensitivity": sensitivity}, store)
    parse_reference(spec.task)  # so that a wrong name costs no seconds
    from prunesearch.api.rehearsal import rehearse

    how = replace(engine_spec(spec, data_dir, plugin, stage_settings()), workers=1, numerics="exact")
    found = rehearse(how)
    space = _space(spec, found.info)
    sharing = _sharing(how, found.info)
    per_trial = found.seconds_per_epoch * max(1, space.epochs)
    at_once = spec.workers or slots(spec.device, spec.workers_per_gpu)
    return Checked(
        study=spec,
        info=found.info,
        epochs=space.epochs,
        dimensions=space.dimensions(),
        notes=tuple(space.notes),
        seconds_per_epoch=found.seconds_per_epoch,
        seconds_per_trial=per_trial,
        peak_mb=found.peak_mb,
        workers=at_once,
        seconds=(-(-spec.trials // at_once) + 1) * per_trial,
        fitting=None if spec.timeout is None else max(0, int(spec.timeout / per_trial - 1) * at_once),
        sharing=sharing,
    )


@documented
def groups(
    study: str | None = None,
    *,
    task: str | None = None,
    data_dir: str | None = None,
    store: str | None = None,
) -> tuple[GroupInfo, ...]:
    """List what can be pruned together: the names that `ratio`, `spare` and `only` take.

    Raises:
        StudyError: there is no such study.
        TaskError: the task does not load.
        EnvironmentFailure: its data is missing.
    """
    if study is None and task is None:
        raise UsageError("no network was named", "give a study, or --task digits-mlp")
    known = _stored_groups(study, store) if study and task is None else None
    if known is not None:
        return known
    from prunesearch.tasks import load_task
    from prunesearch.training.prepare import find_device, prepare

    ref = task or definition(str(study), store).task
    made = load_task(ref, data_dir=data_folder(data_dir))
    return prepare(made, ref, seed=0, device=find_device("cpu")).info.groups


def _space(spec: StudySpec, info: TaskInfo) -> SearchSpace:
    """The study's space, once its policies to start from are known to lie in it."""
    from prunesearch.search.space import SearchSpace
    from prunesearch.search.start import start_policies

    space = SearchSpace.of(spec, info)
    start_policies(spec, space)
    return space


def slots(device: str, per_gpu: int) -> int:
    """Trials at a time where nothing is said: one per core, or `per_gpu` per GPU; one where that has yet to be measured."""
    from prunesearch.engines.devices import places, usable_cores, visible_devices

    return len(places(visible_devices(device), 0, per_gpu or 1, usable_cores()))


def _sharing(how: EngineSpec, info: TaskInfo) -> str:
    """Whether trials share epochs, in words; tried where nobody has."""
    from prunesearch.api.forking import try_fork

    if info.shares:
        return "shared by trials that begin alike"
    found = try_fork(how, info)
    if found.equal:
        return "shared by trials that begin alike: the task's own code was tried, and a fork was equal in all bits"
    return f"not shared: {found.reason}"


def _stored_groups(study: str, store: str | None) -> tuple[GroupInfo, ...] | None:
    from prunesearch.api.choosing import open_store, stored_study

    try:
        with open_store(store) as opened:
            info = stored_study(opened, study).info
    except (StoreError, StudyError):
        return None
    return info.groups if info else None

"""One policy on one task: train, prune, cut, measure. `TrialRunner.run` never raises for what a trial can do wrong."""

from __future__ import annotations

import copy
import gc
import logging
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from prunesearch.criteria import load_plugin
from prunesearch.errors import EnvironmentFailure, PrunesearchError, first_line
from prunesearch.measure.accuracy import classification_report, mean_loss, predictions, same_metric
from prunesearch.measure.figures import at_chance, sizes_of
from prunesearch.measure.latency import measure_latency
from prunesearch.measure.params import shape_signature
from prunesearch.pruning.dead import remove_dead
from prunesearch.pruning.session import Finished
from prunesearch.pruning.structure import WeightGroup
from prunesearch.results import NOT_KEPT, EpochRow, Job, LayerRow, Measures, Result, TaskInfo
from prunesearch.tasks import Task, load_task
from prunesearch.training.clock import Clock
from prunesearch.training.course import Course, Setting, TrialFailure
from prunesearch.training.forks import sample_of, with_sharing
from prunesearch.training.keep import keep_network
from prunesearch.training.loop import nothing
from prunesearch.training.numerics import answers, one_thread, require_fast
from prunesearch.training.pace import pace
from prunesearch.training.prepare import Prepared, find_device, prepare
from prunesearch.training.recorder import Recorder
from prunesearch.training.snapshots import SnapshotStore
from prunesearch.training.stage_key import criterion_code

if TYPE_CHECKING:
    from prunesearch.engines.base import EngineSpec
    from prunesearch.measure.lane import Lane

log = logging.getLogger(__name__)


class TrialRunner:
    """Runs trials of one task on one device; the task is loaded, checked and put on the device once.

    Args:
        spec: task, seed, device, data folder, plug-ins.
        lane: the device's turnstile, so that latency is measured with the device to itself; None: nobody else is there.
        task: a task of this process, in place of the one that `spec.task` names.

    Raises:
        TaskError: the task does not load or its parts do not fit together.
        EnvironmentFailure: data or device is missing.
        UsageError: a plug-in does not load.

    Attributes:
        broken: the device answers nobody in this process any more; another process may find it well.
    """

    def __init__(self, spec: EngineSpec, *, lane: Lane | None = None, task: Task | None = None) -> None:
        device = find_device(spec.device)
        if spec.numerics == "fast":
            require_fast(device)
        for name in (n for plugin in spec.plugins for n in load_plugin(plugin)):
            criterion_code(name)  # read now: its file may be edited while the search runs
        made = _loaded(spec) if task is None else task
        with one_thread(device):
            self._prepared = prepare(made, spec.task, seed=spec.seed, device=device, epochs=spec.epochs, cache=spec.arrays)
        snapshots = SnapshotStore(Path(spec.stages), spec.stage_budget) if spec.stages else None
        if snapshots:
            self._prepared = with_sharing(self._prepared, spec.task if task is None else "", spec.seed, snapshots.folder)
        sample = sample_of(self._prepared) if snapshots and self._prepared.info.shares else ""
        between, fast = lane.checkpoint if lane else nothing, spec.numerics == "fast"
        self._setting = Setting(self._prepared, between, snapshots, fast, sample, spec.graphs)
        self._lane = lane
        self.broken = False
        if fast and made.train_epoch is not None:
            log.warning("numerics fast: the task's own train_epoch computes as it is written; only validation takes fewer bits")
        if spec.graphs and device.type == "cuda" and not self._setting.graphed:
            log.warning("graphs: training steps are not recorded: the task's own loop, or optimizer '%s'", made.optimizer)

    @classmethod
    def from_task(cls, task: Task, spec: EngineSpec, *, lane: Lane | None = None) -> TrialRunner:
        """A runner for a task of this process; `spec.task` is only its name."""
        return cls(spec, lane=lane, task=task)

    def describe(self) -> TaskInfo:
        """What a driver has to know of the task."""
        return self._prepared.info

    def pace(self, seconds: float) -> float:
        """Training batches per second, measured for so many seconds after some to warm up; the network is thrown away.

        As in a trial, whoever measures a latency meanwhile has the device to itself.
        """
        with one_thread(self._prepared.device), self._lane.working() if self._lane else nullcontext():
            return pace(self._setting, seconds)

    def run(self, job: Job) -> Result:
        """Run one job; what goes wrong in it is the result: `failed` or `infeasible`, with the reason.

        The dense reference is a job without a policy: given weights are evaluated as they are, a network without weights
        is trained for the job's epochs.
        """
        trial = _Trial(self._setting, job, self._lane)
        try:
            with one_thread(self._prepared.device), self._lane.working() if self._lane else nullcontext():
                return trial.run()
        except Exception as problem:  # noqa: BLE001 - a user's network may raise anything, and the search goes on
            result = trial.failed(problem)
        del trial  # with its tensors, so that their memory can be given back
        gc.collect()  # its parts refer to each other in circles, the hooks of its optimiser for one
        self.broken = self.broken or not answers(self._prepared.device)
        return result


@dataclass
class _Trial:
    """One job in the making."""

    setting: Setting
    job: Job
    lane: Lane | None
    clock: Clock = field(init=False)
    course: Course = field(init=False)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock({"latency": self._made_way, "wait": self._waited})
        job = self.job
        self.course = Course(self.setting, job.policy, self.epochs, job.seed, self.clock, job.ahead, job.exact)

    def run(self) -> Result:
        with self._recording() as recorder:
            self.course.recorder = recorder
            self.course.run()
            finished = None
            if self.course.session is not None:
                with self.clock.on("cut"):
                    finished = self.course.session.finish(self.course.signed(self.course.accuracy))
            if recorder:
                recorder.end(self.epochs, self.course.model, self.course.session)
            result = self._result(finished)
            if recorder:
                recorder.close(result.measures)
        return result

    def _recording(self) -> AbstractContextManager[Recorder | None]:
        to = self.job.record_to
        return Recorder(to, self.prepared, self.job.policy, self.job.seed) if to else nullcontext()

    def failed(self, problem: Exception) -> Result:
        """The result of a trial that raised."""
        trace = None if isinstance(problem, TrialFailure | PrunesearchError) else "".join(traceback.format_exception(problem))
        return Result(
            state="failed",
            measures=None,
            epochs=self.rows,
            reason=_reason(problem),
            trace=trace,
            notes=tuple(self.notes),
            device=self._where,
            timings=self.clock.timings(),
            epochs_trained=sum(not row.shared for row in self.rows),
            outside=isinstance(problem, EnvironmentFailure) or _no_memory(problem) or _no_device(problem),
        )

    def _made_way(self) -> float:
        """Seconds that this process has left the device to others' latency measurements, or waited to have it alone."""
        return self.lane.waited if self.lane else 0.0

    def _waited(self) -> float:
        """Seconds that this process has waited for epochs that others train."""
        return self.setting.snapshots.waited if self.setting.snapshots else 0.0

    @property
    def task(self) -> Task:
        return self.prepared.task

    @property
    def prepared(self) -> Prepared:
        return self.setting.prepared

    @property
    def rows(self) -> tuple[EpochRow, ...]:
        return tuple(self.course.rows)

    @property
    def epochs(self) -> int:
        """Epochs to train: none for the dense reference of given weights, which is their evaluation."""
        if self.job.policy is not None:
            return self.job.policy.epochs
        return 0 if self.prepared.state is not None else self.job.epochs

    @property
    def _where(self) -> str:
        on_cpu = self.prepared.device.type == "cpu"
        return f"{self.prepared.info.device}, 1 thread" if on_cpu else self.prepared.info.device

    def _result(self, finished: Finished | None) -> Result:
        """Measure what is left of the network, and judge it."""
        accuracy = self._without_dead(self.course.measured(self.prepared.splits.val), finished)
        model = self.course.model
        test_accuracy, report = self._tested(model)
        signature = shape_signature(model)
        sizes = sizes_of(model, self.prepared.example, self._masked, self.prepared.info.params)
        with self.clock.on("latency"):
            latency, shared = self._latency(model, signature)
        kept_in = self._kept(model)
        reason = self._judged(accuracy, finished)
        measures = Measures(
            accuracy=accuracy, test_accuracy=test_accuracy, seconds=self.clock.seconds, **asdict(sizes), **latency
        )
        return Result(
            state="infeasible" if reason else "complete",
            measures=measures,
            epochs=self.rows,
            layers=finished.layers if finished else _dense_layers(self.prepared.info),
            signature=signature,
            reason=reason,
            notes=tuple(self.notes),
            device=self._where,
            timings=self.clock.timings(),
            latency_shared=shared,
            kept_in=kept_in,
            epochs_trained=sum(not row.shared for row in self.rows),
            report=report,
            losses=self._losses(model) if self.job.losses else {},
        )

    def _kept(self, model: nn.Module) -> str | None:
        """Where the network lies. A folder that cannot be written costs the network, and none of what was measured."""
        if self.job.keep_to is None:
            return None
        try:
            keep_network(model, self.job.keep_to)
        except EnvironmentFailure as problem:
            self.notes.append(f"{NOT_KEPT}: {problem}")
            log.warning("%s: %s", NOT_KEPT, problem)
            return None
        return self.job.keep_to

    def _without_dead(self, accuracy: float, finished: Finished | None) -> float:
        """Remove the units that pruning of single weights has left dead, where the metric stays; the metric then.

        Biases that take up what such units emitted are rounded, so that only the metric itself can say that nothing changed.
        """
        if finished is None or finished.infeasible or not self._masked:
            return accuracy
        whole = self.course.model
        with self.clock.on("cut"):
            smaller = copy.deepcopy(whole)
            layers = {name.rpartition(".")[0] for name in self._masked}
            dead = remove_dead(smaller, self.prepared.groups, self.prepared.example, layers)
        if not dead.units:
            return accuracy
        self.course.model = smaller
        again = self.course.measured(self.prepared.splits.val)
        if same_metric(accuracy, again, self.task.metric):
            self.notes.append(str(dead))
            return again
        self.course.model = whole
        self.notes.append(f"dead units stay: without them the {self.task.metric_name} is {again:.6g}, not {accuracy:.6g}")
        return accuracy

    @property
    def _masked(self) -> frozenset[str]:
        """Names of the parameters from which the policy removes single weights."""
        policy = self.job.policy
        if policy is None or policy.is_unit:
            return frozenset()
        groups = self.prepared.groups.chosen(policy)
        return frozenset(name for group in groups if isinstance(group, WeightGroup) for name in group.tensors)

    def _judged(self, accuracy: float, finished: Finished | None) -> str | None:
        """Why the network is not to be used, or None."""
        if finished is None:
            return None
        self.notes += finished.notes
        dense = self.job.dense.measures.accuracy if self.job.dense else None
        return finished.infeasible or at_chance(accuracy, self.prepared.chance, self.prepared.splits.val.size, dense)

    def _tested(self, model: nn.Module) -> tuple[float | None, Mapping[str, Any]]:
        """The metric on the test split and, for a classification, precision, recall and F1."""
        test, classes = self.prepared.splits.test, self.prepared.info.classes
        if test is None or not self.job.test:
            return None, {}
        if self.task.metric != "accuracy" or not classes or self.task.evaluate is not None:
            return self.course.measured(test), {}
        with self.clock.on("validate"):
            found, targets = predictions(model, self.course.ordered(test))
            right = int((found == targets).sum()) / max(1, len(targets))
            return right, classification_report(found, targets, classes)

    def _losses(self, model: nn.Module) -> dict[str, float]:
        """Loss on the held-out splits; none where the user's own loop or evaluation may not know the task's loss."""
        if self.task.train_epoch is not None or self.task.evaluate is not None:
            return {}
        splits = {"validation": self.prepared.splits.val, "test": self.prepared.splits.test if self.job.test else None}
        with self.clock.on("validate"):
            return {n: mean_loss(model, self.course.ordered(s), self.prepared.loss) for n, s in splits.items() if s is not None}

    def _latency(self, model: nn.Module, signature: str) -> tuple[dict[str, Any], bool]:
        """Latency measures, and whether they are those of another network of equal shapes."""
        spec, dense = self.job.latency, self.job.dense
        if spec is None:
            return {}, False
        dense_ms = dense.measures.latency_ms if dense else None
        known = dict(self.job.known_latency)
        if dense is not None:
            known[dense.signature] = (1.0, 0.0)
        if signature in known and dense_ms is not None:
            return _in_ms(*known[signature], dense_ms), True
        with self.lane.alone() if self.lane else nullcontext():
            found = measure_latency(model, self.prepared.dense, self.prepared.example, spec, self.prepared.device)
        if self.job.policy is None:
            return {**_in_ms(1.0, 0.0, found.dense_ms), "latency_iqr_ms": found.dense_ms_iqr}, False
        return _in_ms(found.ratio, found.ratio_iqr, dense_ms or found.dense_ms), False


def _loaded(spec: EngineSpec) -> Task:
    return load_task(spec.task, data_dir=spec.data_dir, seed=spec.seed, cache=spec.arrays, loader_workers=spec.loader_workers)


def _dense_layers(info: TaskInfo) -> tuple[LayerRow, ...]:
    return tuple(LayerRow(g.name, g.kind, g.size, g.size) for g in info.groups)


def _in_ms(ratio: float, iqr: float, dense_ms: float) -> dict[str, Any]:
    return {
        "latency_ratio": ratio,
        "latency_ratio_iqr": iqr,
        "latency_ms": ratio * dense_ms,
        "latency_iqr_ms": iqr * dense_ms,
    }


def _reason(problem: Exception) -> str:
    """What went wrong, in one line."""
    first = first_line(problem)
    if _no_memory(problem):
        return f"out of memory: {first}"
    if isinstance(problem, TrialFailure):
        return first
    hint = f" ({problem.hint})" if isinstance(problem, PrunesearchError) and problem.hint else ""
    name = "" if isinstance(problem, PrunesearchError) else f"{type(problem).__name__}: "
    return f"{name}{first}{hint}"


def _no_memory(problem: Exception) -> bool:
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem)


def _no_device(problem: Exception) -> bool:
    """Whether a GPU failed; one that trips over the data, such as a label that is no class, has not."""
    return isinstance(problem, torch.AcceleratorError) and "device-side assert" not in str(problem)

"""One policy on one task: train, prune, cut, measure. `TrialRunner.run` never raises for what a trial can do wrong."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from prunesearch.criteria import load_plugin
from prunesearch.errors import PrunesearchError
from prunesearch.measure.accuracy import classification_report, evaluate, predictions
from prunesearch.measure.figures import at_chance, sizes_of
from prunesearch.measure.latency import measure_latency
from prunesearch.measure.params import shape_signature
from prunesearch.pruning.session import EpochStart, Finished, PruningSession
from prunesearch.pruning.structure import WeightGroup
from prunesearch.results import EpochRow, Job, LayerRow, Measures, Result, TaskInfo
from prunesearch.tasks import Task, load_task
from prunesearch.training.clock import Clock
from prunesearch.training.data import Batches
from prunesearch.training.keep import keep_network
from prunesearch.training.learning_rate import Recipe, Segment
from prunesearch.training.loop import Loop, train_epoch
from prunesearch.training.optimizers import make_optimizer
from prunesearch.training.prepare import Prepared, find_device, prepare

if TYPE_CHECKING:
    from prunesearch.engines.base import EngineSpec
    from prunesearch.measure.lane import Lane


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
    """

    def __init__(self, spec: EngineSpec, *, lane: Lane | None = None, task: Task | None = None) -> None:
        device = find_device(spec.device)
        for plugin in spec.plugins:
            load_plugin(plugin)
        made = load_task(spec.task, data_dir=spec.data_dir, seed=spec.seed) if task is None else task
        with _one_thread(device):
            self._prepared = prepare(made, spec.task, seed=spec.seed, device=device, epochs=spec.epochs)
        self._lane = lane

    @classmethod
    def from_task(cls, task: Task, spec: EngineSpec, *, lane: Lane | None = None) -> TrialRunner:
        """A runner for a task of this process; `spec.task` is only its name."""
        return cls(spec, lane=lane, task=task)

    def describe(self) -> TaskInfo:
        """What a driver has to know of the task."""
        return self._prepared.info

    def run(self, job: Job) -> Result:
        """Run one job; what goes wrong in it is the result: `failed` or `infeasible`, with the reason.

        The dense reference is a job without a policy: given weights are evaluated as they are, a network without weights
        is trained for the job's epochs.
        """
        trial = _Trial(self._prepared, job, self._lane)
        try:
            with _one_thread(self._prepared.device), self._lane.working() if self._lane else nullcontext():
                return trial.run()
        except Exception as problem:  # noqa: BLE001 - a user's network may raise anything, and the search goes on
            if self._prepared.device.type == "cuda":
                torch.cuda.empty_cache()
            return trial.failed(problem)


class TrialFailure(Exception):
    """The trial cannot go on: the reason, in one line."""


@dataclass
class _Trial:
    """One job in the making."""

    prepared: Prepared
    job: Job
    lane: Lane | None
    clock: Clock = field(init=False)
    rows: list[EpochRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        lane = self.lane
        self.clock = Clock((lambda: lane.waited) if lane else (lambda: 0.0))

    def run(self) -> Result:
        model = self.prepared.fresh(self.job.seed)
        optimizer = make_optimizer(self.task, model)
        before = self._accuracy(model, self.prepared.splits.val) if self._start_is_known else None
        session = self._session(model, optimizer, before)
        accuracy = self._train(model, optimizer, session, before)
        finished = None
        if session is not None:
            with self.clock.on("cut"):
                finished = session.finish(self._signed(accuracy))
        return self._result(model, finished)

    def failed(self, problem: Exception) -> Result:
        """The result of a trial that raised."""
        trace = None if isinstance(problem, TrialFailure | PrunesearchError) else "".join(traceback.format_exception(problem))
        return Result(
            state="failed",
            measures=None,
            epochs=tuple(self.rows),
            reason=_reason(problem),
            trace=trace,
            notes=tuple(self.notes),
            device=self._where,
            timings=self.clock.timings(),
            epochs_trained=len(self.rows),
        )

    @property
    def task(self) -> Task:
        return self.prepared.task

    @property
    def epochs(self) -> int:
        """Epochs to train: none for the dense reference of given weights, which is their evaluation."""
        if self.job.policy is not None:
            return self.job.policy.epochs
        return 0 if self.prepared.state is not None else self.job.epochs

    @property
    def _start_is_known(self) -> bool:
        """Whether the accuracy before the first epoch means something: that of given weights."""
        return self.prepared.state is not None

    @property
    def _where(self) -> str:
        on_cpu = self.prepared.device.type == "cpu"
        return f"{self.prepared.info.device}, 1 thread" if on_cpu else self.prepared.info.device

    def _signed(self, metric: float | None) -> float | None:
        """The metric as schedules compare it: larger is better."""
        return metric if metric is None or self.task.goal == "maximize" else -metric

    def _session(self, model: nn.Module, optimizer: torch.optim.Optimizer, before: float | None) -> PruningSession | None:
        if self.job.policy is None:
            return None
        return PruningSession(
            model,
            self.job.policy,
            optimizer=optimizer,
            example_input=self.prepared.example,
            groups=self.prepared.groups,
            losses=lambda count: self._losses(model, count),
            seed=self.job.seed,
            target=self._signed(before),
        )

    def _losses(self, model: nn.Module, count: int) -> Iterable[torch.Tensor]:
        """Losses of the first training batches of an order of their own; the session sees to modes and generators."""
        for x, y in islice(self.prepared.splits.train.shuffled(self.job.seed, -1), count):
            yield self.prepared.loss(model(x), y)

    def _train(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, session: PruningSession | None, accuracy: float | None
    ) -> float | None:
        """All epochs; returns the validation metric after the last one."""
        recipe, steps = Recipe.of(self.task), self.prepared.splits.train.steps
        loop = self._loop(model, optimizer, session)
        segment = Segment(0, self.epochs)
        for epoch in range(self.epochs):
            began = self.clock.seconds
            if session is not None:
                with self.clock.on("select"):
                    start = session.before_epoch(epoch, self._signed(accuracy))
                segment = _next_segment(segment, start, epoch, optimizer)
            rates = segment.rates(recipe, epoch, steps)
            with self.clock.on("train"):
                loss = train_epoch(loop, epoch, rates)
            if not math.isfinite(loss):
                raise TrialFailure(
                    f"the training loss became {loss} in epoch {epoch} (learning rate {_rate(optimizer, rates):.3g})"
                )
            with session.measuring() if session else nullcontext():
                accuracy = self._accuracy(model, self.prepared.splits.val)
                sparsity = session.sparsity if session else 0.0
            self.rows.append(EpochRow(epoch, loss, accuracy, _rate(optimizer, rates), sparsity, self.clock.seconds - began))
        return accuracy

    def _loop(self, model: nn.Module, optimizer: torch.optim.Optimizer, session: PruningSession | None) -> Loop:
        return Loop(
            model=model,
            optimizer=optimizer,
            loss=self.prepared.loss,
            batches=self.prepared.splits.train,
            seed=self.job.seed,
            after_step=session.after_step if session else _nothing,
            between=self.lane.checkpoint if self.lane else _nothing,
            own=self.task.train_epoch,
        )

    def _accuracy(self, model: nn.Module, split: Batches) -> float:
        """The task's metric on a split.

        Raises:
            TrialFailure: it is not a number.
        """
        with self.clock.on("validate"):
            value = self._metric(model, split)
        if not math.isfinite(value):
            raise TrialFailure(f"the {self.task.metric_name} became {value} after {len(self.rows)} epochs")
        return value

    def _metric(self, model: nn.Module, split: Batches) -> float:
        if self.task.evaluate is None:
            return evaluate(model, split.ordered(), self.task.metric)
        model.eval()
        with torch.no_grad():
            return float(self.task.evaluate(model, split.ordered()))

    def _result(self, model: nn.Module, finished: Finished | None) -> Result:
        """Measure what is left of the network, and judge it."""
        accuracy = self._accuracy(model, self.prepared.splits.val)
        test_accuracy, report = self._tested(model)
        signature = shape_signature(model)
        sizes = sizes_of(model, self.prepared.example, self._masked, self.prepared.info.params)
        with self.clock.on("latency"):
            latency, shared = self._latency(model, signature)
        if self.job.keep_to is not None:
            keep_network(model, self.job.keep_to)
        reason = self._judged(accuracy, finished)
        measures = Measures(
            accuracy=accuracy, test_accuracy=test_accuracy, seconds=self.clock.seconds, **asdict(sizes), **latency
        )
        return Result(
            state="infeasible" if reason else "complete",
            measures=measures,
            epochs=tuple(self.rows),
            layers=finished.layers if finished else _dense_layers(self.prepared.info),
            signature=signature,
            reason=reason,
            notes=tuple(self.notes),
            device=self._where,
            timings=self.clock.timings(),
            latency_shared=shared,
            kept_in=self.job.keep_to,
            epochs_trained=len(self.rows),
            report=report,
        )

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
            return self._accuracy(model, test), {}
        with self.clock.on("validate"):
            found, targets = predictions(model, test.ordered())
            right = int((found == targets).sum()) / max(1, len(targets))
            return right, classification_report(found, targets, classes)

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


def _dense_layers(info: TaskInfo) -> tuple[LayerRow, ...]:
    return tuple(LayerRow(g.name, g.kind, g.size, g.size) for g in info.groups)


def _in_ms(ratio: float, iqr: float, dense_ms: float) -> dict[str, Any]:
    return {
        "latency_ratio": ratio,
        "latency_ratio_iqr": iqr,
        "latency_ms": ratio * dense_ms,
        "latency_iqr_ms": iqr * dense_ms,
    }


def _next_segment(segment: Segment, start: EpochStart, epoch: int, optimizer: torch.optim.Optimizer) -> Segment:
    """The run of the learning rate that `epoch` belongs to."""
    if not start.lr_restart:
        return segment
    base = float(optimizer.param_groups[0]["base_lr"])
    first = start.initial_learning_rate
    return Segment(epoch, start.lr_length, 1.0 if first is None else first / base)


def _rate(optimizer: torch.optim.Optimizer, rates: Sequence[float]) -> float:
    """The learning rate of an epoch's first step."""
    return float(optimizer.param_groups[0]["base_lr"]) * rates[0]


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """One thread on the CPU, and as many as before afterwards.

    Bits differ between one thread and two, and two processes of one thread each do 1.9x the work of one of two.
    """
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _reason(problem: Exception) -> str:
    """What went wrong, in one line."""
    first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
    if isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem):
        return f"out of memory: {first}"
    if isinstance(problem, TrialFailure):
        return first
    hint = f" ({problem.hint})" if isinstance(problem, PrunesearchError) and problem.hint else ""
    name = "" if isinstance(problem, PrunesearchError) else f"{type(problem).__name__}: "
    return f"{name}{first}{hint}"


def _nothing() -> None:
    """After a step of a network that is not pruned; between batches of a process that is alone."""

"""Builds what runs trials in a process: shared by the serial engine and by the workers of the process engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.devices import drain_of, lane_name, loader_cores, places, usable_cores, visible_devices

if TYPE_CHECKING:
    from prunesearch.tasks import Task
    from prunesearch.trial import TrialRunner


def make_runner(spec: EngineSpec, task: Task | None = None) -> TrialRunner:
    """A runner on the first device that `spec` stands for, with that device's lane. Imports torch.

    Args:
        spec: what to run on what.
        task: a task of this process, in place of `spec.task`.

    Raises:
        DefinitionError: the task does not load.
        EnvironmentFailure: data or device is missing.
    """
    from prunesearch.measure.lane import Lane
    from prunesearch.trial import TrialRunner

    device = visible_devices(spec.device)[0]
    cores = usable_cores()
    workers = len(
        places(("cpu",) if device == "cpu" else visible_devices("cuda"), spec.workers, spec.workers_per_gpu or 1, cores)
    )
    spec = replace(spec, device=device, loader_workers=loader_cores(workers, cores))
    lane = Lane(lane_name(device), drain=drain_of(device))
    return TrialRunner(spec, lane=lane) if task is None else TrialRunner.from_task(task, spec, lane=lane)

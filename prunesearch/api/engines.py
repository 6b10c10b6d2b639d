"""Engines as users ask for them, and one job in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunesearch.api.settings import arrays_folder, data_folder
from prunesearch.engines import EngineSpec
from prunesearch.errors import EnvironmentFailure, InfeasibleError, PrunesearchError, UsageError
from prunesearch.results import NOT_KEPT, Job, Result
from prunesearch.spec import StudySpec

if TYPE_CHECKING:
    from prunesearch.engines import Engine


def engine_spec(spec: StudySpec, data_dir: str | None, plugin: Sequence[str], stages: tuple[str | None, int]) -> EngineSpec:
    """What an engine is built from for a study.

    Args:
        spec: the study.
        data_dir: folder of the data sets, as it was given.
        plugin: files with criteria of the user's own.
        stages: folder of the stages that trials share, and the bytes that they may take.
    """
    return EngineSpec(
        spec.task,
        spec.epochs,
        spec.seed,
        spec.device,
        spec.workers,
        data_folder(data_dir),
        tuple(plugin),
        *stages,
        arrays=arrays_folder(),
        numerics=spec.numerics,
        workers_per_gpu=spec.workers_per_gpu,
        graphs=spec.graphs,
    )


def workers_of(given: str | int | None, what: str = "workers") -> int | None:
    """`--workers` and `--workers-per-gpu`: a number, or auto (0).

    Raises:
        UsageError: it is neither.
    """
    if given is None or given == "auto":
        return None if given is None else 0
    try:
        number = int(given)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"{what}: must be a number from 1, or auto, got '{given}'", "auto takes what the machine bears")
    return number


def run_job(engine: Engine, job: Job) -> Result:
    """The result of a job.

    Raises:
        InfeasibleError: the trial failed, or left no usable network.
        EnvironmentFailure: memory, disk, a device or a package was missing, its worker died, or its network was to be kept
            and could not be.
    """
    engine.submit(job)
    outcome = engine.next()
    if outcome is None or outcome.result is None:
        raise EnvironmentFailure(f"the worker died: {outcome.lost if outcome else 'no word'}", "is there enough memory?")
    result = outcome.result
    if result.state != "complete" or result.measures is None:
        raise _failure(result)
    if job.keep_to and result.kept_in is None:
        raise EnvironmentFailure(next((note for note in result.notes if note.startswith(NOT_KEPT)), NOT_KEPT))
    return result


def _failure(result: Result) -> PrunesearchError:
    reason = result.reason or result.state
    if result.outside:
        return EnvironmentFailure(reason, "a smaller batch_size in the task needs less" if "out of memory" in reason else None)
    hint = "prune less, or later" if result.state == "infeasible" else "the reason is the network's or the policy's own"
    return InfeasibleError(f"the trial ended without a usable network: {reason}", hint)

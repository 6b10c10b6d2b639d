"""A sweep from what a user names: shared by `curve` and `sensitivity`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prunesearch.api.engines import workers_of
from prunesearch.api.naming import TaskLike, named
from prunesearch.api.policies import load_plugins
from prunesearch.api.settings import arrays_folder, data_folder, stage_settings
from prunesearch.engines import EngineSpec
from prunesearch.errors import UsageError, did_you_mean
from prunesearch.hyperparameters import GRANULARITIES
from prunesearch.results import LatencySpec, TaskInfo
from prunesearch.sweeps import Candidate, News, Sweep, run_sweep
from prunesearch.tasks.reference import parse_reference


def swept(
    task: TaskLike,
    candidates: Callable[[TaskInfo, str], Sequence[Candidate]],
    *,
    epochs: int | None,
    seeds: int,
    seed: int,
    workers: str | int | None,
    engine: str | None,
    device: str,
    data_dir: str | None,
    stage_budget: float | None,
    plugin: Sequence[str],
    listener: Callable[[News], None] | None,
    latency: bool = False,
) -> Sweep:
    """Measure what `candidates` makes of the task, with `seeds` seeds counted up from `seed`; the split follows `seed`.

    Args:
        task: a reference, a task or a function that makes one; what only this process has is run in it.
        candidates: makes the points, given what the task is and its reference; that is empty where only this process has it.
        latency: whether latency is measured.
        epochs, seeds, seed, workers, engine, device, data_dir, stage_budget, plugin, listener: as in `prunesearch search`.

    Raises:
        UsageError: workers or stage budget are not valid, or a plug-in does not load.
        TaskError: the task does not load, or its dense network cannot be trained.
        EnvironmentFailure: data, device or memory is missing.
    """
    load_plugins(plugin)
    ref, own = named(task)
    if own is None:
        parse_reference(ref)  # raises for what no engine could load, before workers are started
    at_once, folder, stages = workers_of(workers) or 0, data_folder(data_dir), stage_settings(stage_budget)
    spec = EngineSpec(ref, epochs, seed, device, at_once, folder, tuple(plugin), *stages, arrays=arrays_folder())
    return run_sweep(
        spec,
        lambda info: candidates(info, ref if own is None else ""),
        range(seed, seed + seeds),
        task=own,
        latency=LatencySpec() if latency else None,
        engine=engine or ("process" if own is None else "serial"),
        listener=listener,
    )


def check_granularities(words: Sequence[str]) -> None:
    """Refuse what is no granularity.

    Raises:
        UsageError: with the closest one.
    """
    for word in words:
        if word not in GRANULARITIES:
            raise UsageError(f"granularity: '{word}' is unknown; {did_you_mean(word, GRANULARITIES)}")

"""`run`: one policy on one task, without a study."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunesearch.api.about import version
from prunesearch.api.arguments import documented
from prunesearch.api.engines import run_job
from prunesearch.api.naming import TaskLike, named
from prunesearch.api.policies import check_groups, read_policy
from prunesearch.api.settings import arrays_folder, data_folder
from prunesearch.drafts import draft_of
from prunesearch.engines import EngineSpec, open_engine
from prunesearch.engines.dense import reference_of
from prunesearch.errors import PrunesearchError
from prunesearch.policy import Policy
from prunesearch.results import DENSE, DenseReference, Job, LatencySpec, Measures, Result, TaskInfo

if TYPE_CHECKING:
    from prunesearch.engines import Engine
    from prunesearch.export.about import About


@dataclass(frozen=True)
class Ran:
    """What `run` gives.

    Args:
        task: the task's reference.
        info: what the task is.
        policy: what was run, rescaled where other epochs were asked for.
        rescaled_from: the epochs that the policy was made for, None where they are those that were run.
        seeds: the seeds.
        results: one per seed.
        references: the dense network, trained alike, one per seed.
        written: the bundle's folder, None where none was asked for.
        recorded: the recording's folder, None where none was asked for.
    """

    task: str
    info: TaskInfo
    policy: Policy
    rescaled_from: int | None
    seeds: tuple[int, ...]
    results: tuple[Result, ...]
    references: tuple[DenseReference, ...]
    written: str | None = None
    recorded: str | None = None

    @property
    def measures(self) -> Measures:
        """The figures; means where there are several seeds."""
        return mean_measures(self._measured)

    @property
    def dense(self) -> DenseReference:
        """The dense network: means of the same seeds; epochs, layers and report are the first one's."""
        return replace(self.references[0], measures=mean_measures([d.measures for d in self.references]))

    @property
    def deviations(self) -> dict[str, float]:
        """Standard deviation over the seeds, of every measure that all of them have; empty for one seed."""
        return {n: statistics.stdev(v) for n, v in _columns(self._measured).items()} if len(self.seeds) > 1 else {}

    def to_dict(self) -> dict[str, Any]:
        """One row as in a front, with epochs and layers of the first seed and the measures of every seed, dense ones too."""
        first = self.results[0]
        row: dict[str, Any] = {
            "trial": None,
            **self.measures.to_dict(),
            "feasible": all(r.state == "complete" for r in self.results),
        }
        row |= {"confirmed": None, "seed": self.seeds[0], "digest": self.policy.digest, "policy": self.policy.to_dict()}
        row |= {"task": self.task, "device": first.device, "rescaled_from": self.rescaled_from, "written": self.written}
        row["recorded"] = self.recorded
        row |= {"epochs": [asdict(e) for e in first.epochs], "layers": [asdict(x) for x in first.layers]}
        row["dense"] = self.dense.measures.to_dict()
        row["deviations"] = self.deviations
        each = zip(self.seeds, self._measured, self.references, strict=True)
        row["seeds"] = [{"seed": s, **m.to_dict(), "dense": d.measures.to_dict()} for s, m, d in each]
        return row

    @property
    def _measured(self) -> list[Measures]:
        return [r.measures for r in self.results if r.measures]


@documented
def run(
    policy: str | Path | Policy,
    *,
    task: TaskLike,
    epochs: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    device: str = "auto",
    numerics: str = "exact",
    data_dir: str | None = None,
    to: str | None = None,
    record: str | None = None,
    force: bool = False,
    plugin: Sequence[str] = (),
) -> Ran:
    """Train and prune a task's network as a policy says, and measure it against the dense one.

    A policy made for other epochs is rescaled: its epochs keep their share of N. Every seed has a dense network of its own; the
    first one's pruned network is written, and recorded. `force` lets a recording be replaced; a bundle never is.

    Raises:
        PolicyError: the policy is not valid, or names groups that the network does not have.
        TaskError: the task does not load.
        InfeasibleError: no usable network came out, with the reason.
        EnvironmentFailure: data, device or memory is missing, or bundle or recording cannot be written.
        UsageError: the folder of the bundle or of the recording is there already. An error that comes only when all is
            trained has the run as `found`.
    """
    if record:
        from prunesearch.recordings import refuse_existing as refuse_recording

        refuse_recording(record, force=force)
    if to:
        from prunesearch.export.bundle import refuse_existing

        refuse_existing(to)
    given = read_policy(policy, plugin)
    ref, own = named(task)
    scaled = given.rescaled(given.epochs if epochs is None else epochs)
    where, arrays = data_folder(data_dir), arrays_folder() if own is None else None
    spec = EngineSpec(ref, scaled.epochs, seed, device, 1, where, tuple(plugin), numerics=numerics, arrays=arrays)
    with draft_of(to) as network, draft_of(record) as recording, open_engine("serial", spec, task=own) as engine:
        info = engine.describe()
        check_groups(scaled, info, ref if own is None else "")
        wanted = tuple(range(seed, seed + seeds))
        dense = tuple(dense_reference(engine, scaled.epochs, s) for s in wanted)
        jobs = [Job(i, scaled, scaled.epochs, s, LatencySpec(), d) for i, (s, d) in enumerate(zip(wanted, dense, strict=True))]
        jobs[0] = replace(jobs[0], keep_to=network, record_to=recording)
        results = tuple(run_job(engine, job) for job in jobs)
        found = Ran(ref, info, scaled, None if scaled is given else given.epochs, wanted, results, dense)
        about = _about(found, spec, own=own is not None) if to else None
        return _delivered(found, about, (network, recording), to, record, force)


def dense_reference(engine: Engine, epochs: int, seed: int) -> DenseReference:
    """The dense network, trained alike."""
    return reference_of(run_job(engine, Job(DENSE, None, epochs, seed, LatencySpec())), LatencySpec())


def mean_measures(measured: Sequence[Measures]) -> Measures:
    """The mean of every measure that all of them have; whole numbers stay whole."""
    if len(measured) == 1:
        return measured[0]
    whole = {f.name for f in fields(Measures) if f.type == "int"}
    means = {n: statistics.fmean(v) for n, v in _columns(measured).items()}
    missing = {f.name: None for f in fields(Measures) if f.name not in means}
    return Measures(**{n: round(v) if n in whole else v for n, v in means.items()}, **missing)  # type: ignore[arg-type]


def _columns(measured: Iterable[Measures]) -> dict[str, list[float]]:
    rows = [m.to_dict() for m in measured]
    return {name: [r[name] for r in rows] for name in rows[0] if all(r[name] is not None for r in rows)}  # type: ignore[misc]


def _delivered(
    found: Ran, about: About | None, drafts: tuple[str | None, str | None], to: str | None, record: str | None, force: bool
) -> Ran:
    """The run with its bundle and recording in their places, made of `drafts`; where one cannot be, the other still is."""
    network, recording = drafts
    try:
        try:
            if recording and record:
                from prunesearch.recordings import put_in_place

                put_in_place(recording, record, force=force)
                found = replace(found, recorded=record)
        finally:
            if about and network and to:
                from prunesearch.export.bundle import write_bundle

                found = replace(found, written=str(write_bundle(to, network, about)))
    except PrunesearchError as error:
        error.found = found
        raise
    return found


def _about(ran: Ran, spec: EngineSpec, *, own: bool) -> About:
    from prunesearch.export.about import About

    first = ran.results[0]
    assert first.measures is not None  # usable() has looked
    return About(
        task=ran.task,
        own=own,
        policy=ran.policy,
        digest=ran.policy.digest,
        seed=ran.seeds[0],
        measures=first.measures,
        dense=ran.references[0],
        metric=ran.info.metric,
        maximize=ran.info.direction == "maximize",
        layers=first.layers,
        notes=first.notes,
        device=first.device,
        asked_device=spec.device,
        plugins=spec.plugins,
        numerics=spec.numerics,
        code_version=version(),
    )

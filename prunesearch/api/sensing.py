"""`sensitivity`: what a network loses when one of its groups alone is pruned; the outcome seeds a search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prunesearch.api.arguments import documented
from prunesearch.api.curving import Curve, curve
from prunesearch.api.definitions import put_text, refuse_existing
from prunesearch.api.naming import TaskLike
from prunesearch.api.policies import check_groups
from prunesearch.api.sweeping import check_granularities, swept
from prunesearch.drafts import draft_of
from prunesearch.errors import PrunesearchError, UsageError
from prunesearch.results import TaskInfo
from prunesearch.sensitivity import Sensitivity
from prunesearch.sweeps import Candidate, News
from prunesearch.sweeps.groups import RATIOS, Probe
from prunesearch.sweeps.levels import read_levels


@documented
def sensitivity(
    task: TaskLike,
    *,
    levels: str | Sequence[float] = ",".join(map(str, RATIOS)),
    granularities: Sequence[str] = (),
    criterion: str = "l1",
    retrain: int = 0,
    schedules: bool = False,
    epochs: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    to: str | None = None,
    plot: str | None = None,
    force: bool = False,
    workers: str | int | None = None,
    engine: str | None = None,
    device: str = "auto",
    data_dir: str | None = None,
    stage_budget: float | None = None,
    plugin: Sequence[str] = (),
    listener: Callable[[News], None] | None = None,
) -> Sensitivity | Curve:
    """Prune one group at a time and tell what is lost on the validation split; --to writes a file that seeds a search.

    The dense network is trained once per seed, and all points share it. With --schedules the whole network is pruned
    instead, by every schedule, as 'curve --schedules' does.

    Raises:
        UsageError: a level, word or file is not what it should be.
        PolicyError: the network has nothing of a granularity, or the criterion does not go with it.
        TaskError: the task does not load, or its dense network cannot be trained.
        EnvironmentFailure: data, device or memory is missing, or a file cannot be written. An error that comes only when all is
            trained has the sensitivity as `found`.
    """
    how: dict[str, Any] = {"epochs": epochs, "seeds": seeds, "seed": seed, "workers": workers, "engine": engine, "device": device}
    how |= {"data_dir": data_dir, "stage_budget": stage_budget, "plugin": plugin, "listener": listener}
    if schedules:
        cut: dict[str, Any] = {"granularities": granularities, "criteria": (criterion,), "retrain": retrain}
        return curve(task, levels=levels, schedules=True, plot=_alone(plot, to), **cut, **how)
    _refuse(granularities, to, plot, force=force)
    probe = Probe(_ratios(levels), tuple(granularities), criterion, retrain)
    with draft_of(to) as draft:
        return _delivered(probe.outcome(swept(task, _checked(probe), **how), seed), draft, to, plot, force=force)


def _delivered(found: Sensitivity, draft: str | None, to: str | None, plot: str | None, *, force: bool) -> Sensitivity:
    """What was found, its file and its figure in their places."""
    try:
        if draft and to:
            put_text(Path(draft), json.dumps(found.to_dict(), indent=1) + "\n", Path(to), force)
        if plot:
            write_sensitivity(found, plot)
    except PrunesearchError as error:
        error.found = found
        raise
    return found


def write_sensitivity(found: Sensitivity, path: str | Path) -> Path:
    """Write heat map and lines as a figure: `.html` or `.png`.

    Raises:
        UsageError: another ending.
        EnvironmentFailure: the file cannot be written, or what PNG needs is missing.
    """
    from prunesearch.report.figures import write_figure
    from prunesearch.report.heat import sensitivity_figure

    return write_figure(sensitivity_figure(found), path)


def _alone(plot: str | None, to: str | None) -> str | None:
    """`plot`, where no file is asked for, which whole networks have none of."""
    if to:
        raise UsageError("--to is for groups, and --schedules prunes whole networks", "leave one of them out")
    return plot


def _refuse(granularities: Sequence[str], to: str | None, plot: str | None, *, force: bool) -> None:
    """Everything that can be wrong before anything is trained."""
    check_granularities(granularities)
    if to:
        refuse_existing([Path(to)], force)
    if plot:
        from prunesearch.report.figures import figure_target

        figure_target(plot)


def _ratios(levels: str | Sequence[float]) -> tuple[float, ...]:
    """Levels without 0, which is the dense network.

    Raises:
        UsageError: none is left, or one is no fraction.
    """
    found = tuple(level for level in read_levels(levels) if level > 0)
    if not found:
        raise UsageError("levels: at least one above 0 is needed", "fractions, such as --levels 0.2,0.5,0.8")
    return found


def _checked(probe: Probe) -> Callable[[TaskInfo, str], Sequence[Candidate]]:
    """The candidates of a network, refused where the network has not what they need."""

    def candidates(info: TaskInfo, task: str) -> Sequence[Candidate]:
        found = probe.candidates(info, task)
        for candidate in found:
            if candidate.policy is not None:
                check_groups(candidate.policy, info, task)
        return found

    return candidates

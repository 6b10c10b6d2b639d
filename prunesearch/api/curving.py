"""`curve`: accuracy and loss against what is removed, for given levels; nothing is searched and nothing selected."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prunesearch.api.arguments import documented
from prunesearch.api.naming import TaskLike
from prunesearch.api.policies import check_groups, load_plugins, read_policy
from prunesearch.api.sweeping import check_granularities, swept
from prunesearch.errors import UsageError
from prunesearch.fitting import granularities_of
from prunesearch.policy import Policy
from prunesearch.report.published import Axis, Published, read_published
from prunesearch.report.words import way_words
from prunesearch.results import TaskInfo
from prunesearch.sweeps import Candidate, Cuts, News, Sweep, policy_candidates, schedule_candidates
from prunesearch.sweeps.curves import CurvePoint, Split, curve_points, dense_point, figures_of, reported_split
from prunesearch.sweeps.levels import LEVELS, read_levels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Curve:
    """What `curve` gives.

    Args:
        sweep: every network that was measured.
        retrain: epochs trained after the cut, where plain cuts were asked for.
        published: points of others, to be drawn beside ours.
    """

    sweep: Sweep
    retrain: int = 0
    published: tuple[Published, ...] = ()

    @cached_property
    def points(self) -> tuple[CurvePoint, ...]:
        """One per line and level: means over the seeds."""
        return curve_points(self.sweep)

    @cached_property
    def dense(self) -> CurvePoint:
        """The dense network."""
        return dense_point(self.sweep)

    @property
    def split(self) -> Split:
        """The split that tables and figures show."""
        return reported_split(self.sweep)

    @property
    def title(self) -> str:
        """What stands above table and figure."""
        seeds = len(self.sweep.seeds)
        of = f", mean of {seeds} seeds" if seeds > 1 else ""
        return f"{self.sweep.info.name}: {self.sweep.info.metric} of pruned networks{of}"

    def figure(self, axis: Axis = "sparsity", *, buttons: bool = True) -> Figure:
        """The figure; `axis` is what lies along x at first, and `buttons` whether the other one can be chosen."""
        from prunesearch.report.curves import Drawing, curve_figure

        info = self.sweep.info
        shown = (self.points, self.dense, self.title, info.metric, self.split, self.published, axis)
        return curve_figure(Drawing(*shown, buttons=buttons, maximize=info.direction == "maximize"))

    def write(self, path: str | Path, axis: Axis = "sparsity") -> Path:
        """Write the figure: `.html`, with buttons for both axes, or `.png`, with one of them.

        Raises:
            UsageError: another ending.
            EnvironmentFailure: the file cannot be written, or what PNG needs is missing.
        """
        from prunesearch.report.figures import write_figure

        return write_figure(self.figure(axis, buttons=Path(path).suffix.lower() == ".html"), path)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: the points, and every network under `runs`."""
        sweep = self.sweep
        plain: dict[str, Any] = {"task": sweep.task, "metric": sweep.info.metric, "direction": sweep.info.direction}
        plain |= {"split": self.split, "epochs": sweep.epochs, "retrain": self.retrain, "seeds": list(sweep.seeds)}
        plain |= {"device": sweep.info.device, "dense": self.dense.to_dict(), "points": [p.to_dict() for p in self.points]}
        return plain | {"runs": list(self._runs())}

    def _runs(self) -> list[dict[str, Any]]:
        dense = [{"series": "dense", "level": 0.0, "seed": s, "policy": None, "result": r} for s, r in self.sweep.dense.items()]
        rows = [*dense, *(vars(p) for p in self.sweep.points if p.policy)]
        return [
            {"series": row["series"], "level": row["level"], "seed": row["seed"]}
            | {"state": row["result"].state, "reason": row["result"].reason, "epochs_trained": row["result"].epochs_trained}
            | figures_of(row["result"], row["policy"], self.sweep.info)
            | {"policy": row["policy"].to_dict() if row["policy"] else None}
            for row in rows
        ]


@documented
def curve(
    task: TaskLike,
    *,
    levels: str | Sequence[float] = LEVELS,
    granularities: Sequence[str] = (),
    criteria: Sequence[str] = (),
    scopes: Sequence[str] = (),
    retrain: int = 0,
    policies: Sequence[str | Path | Policy] = (),
    schedules: bool = False,
    epochs: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    latency: bool = False,
    plot: str | None = None,
    axis: Literal["sparsity", "removed"] = "sparsity",
    against: str | None = None,
    workers: str | int | None = None,
    engine: str | None = None,
    device: str = "auto",
    data_dir: str | None = None,
    stage_budget: float | None = None,
    plugin: Sequence[str] = (),
    listener: Callable[[News], None] | None = None,
) -> Curve:
    """Draw accuracy and loss against what is removed: one line per granularity, criterion and scope, or per policy.

    Every network is trained as long as the dense one. Without --retrain the cut comes after the last epoch. All networks of
    a seed share their dense epochs, and a run that was stopped goes on from what it has trained. Where only policies are
    drawn, what is cut, by which score and when is theirs to say.

    Raises:
        UsageError: levels, words or files are not what they should be.
        PolicyError: a policy is not valid, or names what the network does not have.
        TaskError: the task does not load, or its dense network cannot be trained.
        EnvironmentFailure: data, device or memory is missing, or the figure cannot be written.
    """
    if plot:
        from prunesearch.report.figures import figure_target

        figure_target(plot)
    load_plugins(plugin)
    published = read_published(against) if against else ()
    cuts = Cuts(read_levels(levels), tuple(granularities), tuple(criteria), tuple(scopes), retrain)
    asked = Asked(cuts, _named(policies, plugin), schedules=schedules)
    how: dict[str, Any] = {"epochs": epochs, "seeds": seeds, "seed": seed, "workers": workers, "engine": engine, "device": device}
    how |= {"data_dir": data_dir, "stage_budget": stage_budget, "plugin": plugin, "listener": listener, "latency": latency}
    sweep = swept(task, asked.candidates, **how)
    found = Curve(sweep, retrain, published)
    if plot:
        found.write(plot, axis)
    return found


@dataclass(frozen=True)
class Asked:
    """The lines that were asked for.

    Args:
        cuts: plain cuts; where no granularity was named, of everything that the network has, unless there are other lines; by l1
            and per layer where no criterion and no scope was.
        policies: name -> policy.
        schedules: whether all schedules are compared.
    """

    cuts: Cuts
    policies: dict[str, Policy]
    schedules: bool = False

    def __post_init__(self) -> None:
        check_granularities(self.cuts.granularities)
        if self.schedules and self.cuts.retrain:
            raise UsageError("schedules decide themselves when they cut", "leave --retrain out")
        if self.policies and not (self.schedules or self.cuts.granularities):
            self._refuse_unused()

    def _refuse_unused(self) -> None:
        said = {"--criterion": self.cuts.criteria, "--scope": self.cuts.scopes, "--retrain": self.cuts.retrain}
        unused = [flag for flag, given in said.items() if given]
        if unused:
            hint = f"leave {' and '.join(unused)} out, or draw plain cuts too: --granularity weight"
            raise UsageError("policies say themselves what is cut, by which score and when", hint)

    def candidates(self, info: TaskInfo, task: str) -> list[Candidate]:
        """The points, once the network is known.

        Args:
            info: what the task is.
            task: its reference, for what is told; empty where it has none.

        Raises:
            PolicyError: it has nothing of a granularity, or not the groups that a policy names.
            UsageError: there are too few epochs.
        """
        found = policy_candidates(self.policies, self.cuts.levels, info)
        cuts = replace(self.cuts, criteria=self.cuts.criteria or Cuts.criteria, scopes=self.cuts.scopes or Cuts.scopes)
        if self.schedules:
            found += _all_schedules(cuts, info)
        elif cuts.granularities or not self.policies:
            found += replace(cuts, granularities=cuts.granularities or _widest(info, task)).candidates(info)
        for candidate in found:
            if candidate.policy is not None:
                check_groups(candidate.policy, info, task)
        return found


def _all_schedules(cuts: Cuts, info: TaskInfo) -> list[Candidate]:
    """Every schedule in every combination, whose words begin the line's name where there are several."""
    kinds = (cuts.granularities or Cuts.granularities, cuts.criteria, cuts.scopes)
    found = []
    for granularity, criterion, scope in itertools.product(*kinds):
        words = [word for word, every in zip((granularity, criterion, scope), kinds, strict=True) if len(every) > 1]
        lines = schedule_candidates(info, cuts.levels, granularity=granularity, criterion=criterion, scope=scope)
        found += [replace(c, series=", ".join((*words, c.series))) for c in lines]
    return found


def _widest(info: TaskInfo, task: str) -> tuple[str, ...]:
    """Single weights, and the granularity that takes in most of the network's units.

    Raises:
        PolicyError: there is nothing that can be pruned.
    """
    known = granularities_of(info, task)
    units = [g for g in known if g != "weight"]
    return tuple(g for g in known if g == "weight") + tuple(units[-1:])


def _named(policies: Sequence[str | Path | Policy], plugin: Sequence[str]) -> dict[str, Policy]:
    """Policies by what their lines are called: the file's name, or what the policy does."""
    found: dict[str, Policy] = {}
    for given in policies:
        policy = read_policy(given, plugin)
        name = f"{policy.granularity}, {way_words(policy)}" if isinstance(given, Policy) else Path(given).stem
        same = sum(known == name or known.startswith(f"{name} (") for known in found)
        found[f"{name} ({same + 1})" if same else name] = policy
    return found

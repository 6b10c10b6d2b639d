"""Commands that only read: `status`, `front`, `show`. They import neither torch nor optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from prunesearch.api.arguments import documented
from prunesearch.api.choosing import Choice, open_store, stored_front, stored_study
from prunesearch.front import Front
from prunesearch.report.classes import class_rows
from prunesearch.report.findings import smallest_within
from prunesearch.search.owners import life_of

if TYPE_CHECKING:
    from prunesearch.store import ExactRecord, Store, StudyRecord, TrialRecord


@dataclass(frozen=True)
class Status:
    """How a study stands.

    Args:
        study: its name.
        task: what it prunes.
        total: trials that it shall have.
        finished: trials with a result, whatever it is.
        states: trials by state, `unfinished` ones among them; states without trials are left out.
        epochs_asked: epochs of all trials with a result, the dense network's among them.
        epochs_trained: how many of them were trained.
        epochs_shared: the others: stages that trials have in common.
        running: trials that were started and have no result, with when that was (UTC).
        unfinished: those that a driver has left, which the next one runs again, with when they were started (UTC).
        dense: whether the dense reference is known.
        front: policies on the front.
        hypervolume: share of the dense network's box that the front dominates, None before there is one.
        best_accuracy: the best metric on the front, None before there is one.
        smallest_params: fewest parameters within one point of dense, None where nothing comes that close.
        created: when it was made (UTC).
        active: when something was last written for it (UTC).
        device: where trials run.
        numerics: how the front's figures were computed: exact, fast, or remeasured (found fast, measured again in exact).
    """

    study: str
    task: str
    total: int
    finished: int
    states: Mapping[str, int]
    epochs_asked: int
    epochs_trained: int
    epochs_shared: int
    running: Mapping[int, str]
    unfinished: Mapping[int, str]
    dense: bool
    front: int
    hypervolume: float | None
    best_accuracy: float | None
    smallest_params: int | None
    created: str
    active: str
    device: str
    numerics: str = "exact"


@dataclass(frozen=True)
class Shown:
    """A study, and one of its trials where one was chosen; `full`: with the figures of every class.

    `exact` is what a trial of a study in fast numerics has given when it was trained again in exact, if it was.
    """

    study: StudyRecord
    trial: TrialRecord | None
    on_front: bool
    full: bool = False
    exact: ExactRecord | None = None

    @property
    def classes(self) -> list[dict[str, Any]]:
        """Precision, recall, F1 and support per class on the test split, of the trial and of the dense network."""
        return class_rows(self.trial.report if self.trial else {}, self.study.dense.report if self.study.dense else {})

    def to_dict(self) -> dict[str, Any]:
        """As plain data, as in `show --format json`."""
        plain: dict[str, Any] = {"study": asdict(self.study), "trial": None, "on_front": self.on_front}
        if self.trial:
            plain["trial"] = asdict(self.trial) | {"policy": self.trial.policy.to_dict()}
        if self.exact:
            plain["exact"] = asdict(self.exact)
        if self.full:
            plain["classes"] = self.classes
        return plain


@documented
def status(study: str | None = None, *, store: str | None = None) -> Status:
    """Tell how a study stands: trials by state, what runs now, the front so far.

    Raises:
        StudyError: it is not in the store.
        StoreError: the store cannot be read.
    """
    with open_store(store) as opened:
        record = stored_study(opened, study)
        front = stored_front(opened, record)
        return _status(opened, record, front)


@documented
def front(
    study: str | None = None,
    *,
    trial: int | None = None,
    knee: bool = False,
    where: str | None = None,
    by: str | None = None,
    plot: str | None = None,
    store: str | None = None,
) -> Front:
    """Show the Pareto front: the policies that no other one beats in everything.

    Raises:
        StudyError: the study is not in the store.
        UsageError: the choice contradicts itself, or cannot be read.
        InfeasibleError: there is no front to choose from yet.
    """
    choice = Choice(trial, knee, where, by)
    with open_store(store) as opened:
        record = stored_study(opened, study)
        found = stored_front(opened, record)
        if plot:
            from prunesearch.report.figures import write_figure
            from prunesearch.report.points import study_figure

            write_figure(study_figure(opened, record, found), plot)
    return choice.rows(found)


@documented
def show(
    study: str | None = None,
    *,
    trial: int | None = None,
    knee: bool = False,
    where: str | None = None,
    by: str | None = None,
    full: bool = False,
    store: str | None = None,
) -> Shown:
    """Show one trial with everything that is known of it; without a choice, the study itself.

    `full` adds precision, recall, F1 and support per class on the test split, dense and pruned side by side; as CSV it is these.

    Raises:
        StudyError: the study is not in the store.
        TrialError: it has no such trial.
        UsageError: the choice contradicts itself, or cannot be read.
        InfeasibleError: nothing satisfies the choice.
    """
    choice = Choice(trial, knee, where, by)
    with open_store(store) as opened:
        record = stored_study(opened, study)
        if not choice.given:
            return Shown(record, None, on_front=False, full=full)
        found = stored_front(opened, record)
        number = choice.trial if choice.trial is not None else choice.row(found).trial
        again = opened.exact(record.name).get(number)
        return Shown(record, opened.trial(record.name, number), number in found.trials, full, again)


def _status(store: Store, study: StudyRecord, front: Front) -> Status:
    states = store.counts(study.name)
    small = smallest_within(front)
    ended = [t for t in store.trials(study.name) if t.measures is not None]
    dense = study.dense.epochs if study.dense else ()
    left = {t.trial for t in store.tickets(study.name) if t.state == "taken" and life_of(t.owner) == "dead"}
    begun = {t.number: t.started_at for t in store.running(study.name)}
    running, unfinished = ({n: at for n, at in begun.items() if (n in left) is gone} for gone in (False, True))
    asked = sum(t.policy.epochs for t in ended) + len(dense)
    trained = sum(t.epochs_trained for t in ended) + sum(not row.shared for row in dense)
    return Status(
        study=study.name,
        task=str(study.spec["task"]),
        total=int(study.spec["trials"]),
        finished=store.ended(study.name),
        states={k: v for k, v in {**states, "running": len(running), "unfinished": len(unfinished)}.items() if v},
        epochs_asked=asked,
        epochs_trained=trained,
        epochs_shared=max(0, asked - trained),
        running=running,
        unfinished=unfinished,
        dense=study.dense is not None,
        front=len(front),
        hypervolume=front.recorded if front.recorded is not None else front.to_dict()["hypervolume"],
        best_accuracy=front.best("accuracy").measures.accuracy if len(front) else None,
        smallest_params=small.measures.params if small else None,
        created=study.created_at,
        active=study.active_at,
        device=study.info.device if study.info else "",
        numerics=front.numerics,
    )

"""Choosing a study and a policy, the same everywhere: `trial`, `knee`, or `where` and `by`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunesearch.api.settings import store_url
from prunesearch.errors import StudyError, UsageError
from prunesearch.front import Front, FrontRow, direction_of
from prunesearch.spec import StudySpec, ready_studies

if TYPE_CHECKING:
    from prunesearch.store import Store, StudyRecord


@dataclass(frozen=True)
class Choice:
    """What was asked for; nothing at all chooses everything.

    Raises:
        UsageError: it contradicts itself.
    """

    trial: int | None = None
    knee: bool = False
    where: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        ways = [
            w for w, on in (("--trial", self.trial is not None), ("--knee", self.knee), ("--where/--by", self._searches)) if on
        ]
        if len(ways) > 1:
            raise UsageError(f"{' and '.join(ways)} choose in different ways", "give one of them")

    @property
    def _searches(self) -> bool:
        return bool(self.where or self.by)

    @property
    def given(self) -> bool:
        """Whether anything was asked for."""
        return self.trial is not None or self.knee or self._searches

    def rows(self, front: Front) -> Front:
        """The rows of `front` that are meant, best first.

        Raises:
            UsageError: the condition cannot be read, or no such trial is on the front.
            InfeasibleError: nothing is left of an empty front.
        """
        if self.trial is not None:
            return front.chosen([on_front(front, self.trial)])
        if self.knee:
            return front.chosen([front.knee()])
        found = front.where(self.where) if self.where else front
        if self.where and front.rows and not found.rows:
            front.where(self.where, by="params")  # raises, and says what comes closest
        return _sorted(found, self.by) if self.by else found

    def row(self, front: Front) -> FrontRow:
        """The one row of `front` that is meant.

        Raises:
            UsageError: nothing was asked for, or more than one row is meant.
            InfeasibleError: no row satisfies the condition.
        """
        if self.where and self.by:
            return front.where(self.where, by=self.by)
        rows = self.rows(front)
        if len(rows) == 1 or (self.by and len(rows)):
            return rows[0]
        if not rows:
            return front.knee()  # raises: the front is empty
        told = f"{len(rows)} policies are left to choose from" if self.given else "no policy was chosen"
        raise UsageError(told, "add --by params, or give --trial N or --knee")


def _sorted(front: Front, by: str) -> Front:
    """The rows of `front` that have the measure `by`, best first."""
    front.best(by)  # raises for what is no measure
    sign = -1.0 if direction_of(by, front.metric) == "maximize" else 1.0
    measured = [row for row in front if getattr(row.measures, by) is not None]
    return front.chosen(sorted(measured, key=lambda row: sign * row.value(by)))


def on_front(front: Front, trial: int) -> FrontRow:
    """The row of a trial.

    Raises:
        UsageError: the trial is not on the front.
    """
    for row in front:
        if row.trial == trial:
            return row
    raise UsageError(f"trial {trial} is not on the front", f"on it are {', '.join(map(str, front.trials)) or 'none yet'}")


def stored_front(store: Store, study: StudyRecord) -> Front:
    """The front of a stored study as it is now. Imports neither torch nor optuna."""
    return store.front(study.name)


def open_store(store: str | None) -> Store:
    """The store, for reading."""
    from prunesearch.store import Store

    return Store.open(store_url(store))


def study_name(study: str | None) -> str | None:
    """The stored study's name that `study` means: a study file means the study that it defines."""
    if study and study.endswith((".yaml", ".yml", ".json")):
        return StudySpec.load(study).name
    return study


def stored_study(store: Store, study: str | None) -> StudyRecord:
    """A stored study by name or by its file, or the latest.

    Raises:
        StudyError: it is not in the store.
    """
    name = study_name(study)
    try:
        return store.study(name)
    except StudyError as error:
        if study and (study != name or study in ready_studies()):
            raise StudyError(error.message, f"'prunesearch search {study}' runs it first") from None
        raise

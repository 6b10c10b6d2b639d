"""The front as it grows: a snapshot in the store after every change, and the folders of pruned networks that it needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prunesearch.front import Direction, Front, FrontRow
from prunesearch.results import Measures
from prunesearch.search.planner import trial_folder
from prunesearch.store import TrialRecord
from prunesearch.store.fronts import row_of

Keep = Literal["front", "all", "none"]


@dataclass(frozen=True)
class Change:
    """A front that has changed: its members in increasing order, and its hypervolume (None where it has none)."""

    members: tuple[int, ...]
    hypervolume: float | None


class Growing:
    """The front of the trials that are known so far.

    Args:
        study: its name.
        directions: objective -> maximize or minimize.
        dense: the dense network's figures.
        device: where trials run.
        members: the front that was recorded last.
        metric: as of `Front.of`.
    """

    def __init__(
        self,
        study: str,
        directions: Mapping[str, Direction],
        dense: Measures,
        device: str,
        members: Iterable[int] = (),
        metric: Direction | None = None,
    ) -> None:
        self._study = study
        self._directions = directions
        self._dense = dense
        self._device = device
        self._metric = metric
        self._members = tuple(sorted(members))
        self._rows: dict[int, FrontRow] = {}

    def add(self, records: Iterable[TrialRecord]) -> None:
        """Take note of trials; those without figures or not feasible do not matter."""
        for record in records:
            if record.feasible and record.measures is not None:
                self.put(row_of(record))

    def put(self, row: FrontRow) -> None:
        """Take note of a feasible trial."""
        self._rows[row.trial] = row

    def change(self) -> Change | None:
        """The front, if it is another than the one settled last."""
        front = self.front()
        return None if front.trials == self._members else Change(front.trials, front.hypervolume())

    def settle(self, change: Change) -> None:
        """The change is in the store."""
        self._members = change.members

    def front(self) -> Front:
        """The front now."""
        rows = [self._rows[number] for number in sorted(self._rows)]
        return Front.of(rows, self._directions, dense=self._dense, study=self._study, device=self._device, metric=self._metric)

    @property
    def members(self) -> tuple[int, ...]:
        """Its trials, in increasing order, as settled last."""
        return self._members


def prune_folders(folder: Path, mine: Iterable[int], members: Iterable[int]) -> list[Path]:
    """Remove the folders of one's own trials that are not on the front; nothing else in `folder` is touched.

    Args:
        folder: holds one folder per trial.
        mine: finished trials of this search.
        members: trials on the front.

    Returns:
        The folders that were removed.
    """
    gone = [trial_folder(folder, number) for number in sorted(set(mine) - set(members))]
    removed = [path for path in gone if path.is_dir() and not path.is_symlink()]
    for path in removed:
        shutil.rmtree(path)
    return removed

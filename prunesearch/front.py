"""`Front`: the policies that no other one beats in everything, and how to choose among them.

A row *dominates* another if it is at least as good in every objective and better in one. The front is what nothing
dominates; rows with equal values stay together. Only feasible rows take part.

Hypervolume: the share of the dense network's box that the front dominates (Zitzler & Thiele 1998), computed by
moocore. The box reaches from the reference point (`reference_point`: accuracy 0, costs 1.1 x dense) to the dense
accuracy at no cost at all, so that 0 is nothing, 1 is the dense accuracy for free, more than 1 needs an accuracy above
dense, and studies of different networks can be compared.

Knee: the row farthest beyond the plane through the best single objectives (Das 1999; as the distance to the extreme
hyperplane in Zhang, Tian & Jin 2015), after every objective has been scaled to [0, 1] between the front's best and worst.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

from prunesearch.errors import InfeasibleError, UsageError, did_you_mean
from prunesearch.policy import Policy
from prunesearch.results import OBJECTIVES, Measures
from prunesearch.spec import Constraint, parse_where

Direction = Literal["maximize", "minimize"]

JSON_VERSION = 1
"""Version of the JSON that `Front.to_dict` and `--format json` give; raised when a field changes its meaning or goes."""

MARGIN = 0.1
"""How far beyond the dense network's cost the reference point lies, as a fraction of it."""


def direction_of(measure: str, metric: Direction = "maximize") -> Direction:
    """Which way a measure is better; `metric` is the direction of the task's own metric, `accuracy`."""
    if measure in ("accuracy", "test_accuracy"):
        return metric
    return "maximize" if measure == "sparsity" else "minimize"


def directions_of(objectives: Iterable[str], metric: Direction = "maximize") -> dict[str, Direction]:
    """The direction of every objective, in their order."""
    return {name: direction_of(name, metric) for name in objectives}


@dataclass(frozen=True)
class FrontRow:
    """One trial with what it measured.

    Args:
        trial: its number in the study.
        measures: its figures.
        policy: what was run.
        digest: digest of the policy's canonical form.
        seed: the seed that it ran with.
        feasible: whether it satisfies the study's constraints.
        confirmed: figures of its repetition over fresh seeds, None while there was none.
    """

    trial: int
    measures: Measures
    policy: Policy
    digest: str = ""
    seed: int = 0
    feasible: bool = True
    confirmed: Mapping[str, Any] | None = None

    def value(self, measure: str) -> float:
        """The value of a measure.

        Raises:
            ValueError: it was not measured, or is not a number.
        """
        found = getattr(self.measures, measure)
        if found is None or math.isnan(found):
            raise ValueError(f"trial {self.trial} has no {measure}: got {found}")
        return float(found)

    def to_dict(self) -> dict[str, Any]:
        """The row as in `front --format json`."""
        plain = {"trial": self.trial, **self.measures.to_dict(), "feasible": self.feasible, "confirmed": self.confirmed}
        return plain | {"seed": self.seed, "digest": self.digest, "policy": self.policy.to_dict()}


def non_dominated(rows: Sequence[FrontRow], directions: Mapping[str, Direction]) -> tuple[FrontRow, ...]:
    """The rows that no other one dominates, in their order; equal ones are all kept.

    Raises:
        ValueError: a row lacks an objective, or it is not a number.
    """
    costs = [_costs(row, directions) for row in rows]
    kept: list[tuple[float, ...]] = []
    for cost in sorted(set(costs)):  # what dominates a point sorts before it
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other in kept):
            kept.append(cost)
    front = set(kept)
    return tuple(row for row, cost in zip(rows, costs, strict=True) if cost in front)


def _costs(row: FrontRow, directions: Mapping[str, Direction]) -> tuple[float, ...]:
    """The row's objectives turned so that less is better."""
    return tuple(-row.value(name) if way == "maximize" else row.value(name) for name, way in directions.items())


def reference_point(directions: Mapping[str, Direction], dense: Measures) -> dict[str, float]:
    """The point that a row must beat in every objective to count, in the measures' units.

    Minimised: 1.1 x dense (a negative value: 0.1 of its size above it). Maximised: 0 (a negative value: 0.1 of its size
    below it).

    Raises:
        ValueError: the dense network lacks an objective.
    """
    row = FrontRow(-1, dense, Policy(epochs=0))
    out = {}
    for name, way in directions.items():
        value = row.value(name)
        room = MARGIN * abs(value)
        out[name] = value + room if way == "minimize" else min(0.0, value - room)
    return out


def _spans(directions: Mapping[str, Direction], dense: Measures, reference: Mapping[str, float]) -> dict[str, float]:
    """Sides of the dense network's box; 1 where a side would be 0."""
    ideal = {name: getattr(dense, name) if way == "maximize" else 0.0 for name, way in directions.items()}
    return {name: abs(ideal[name] - reference[name]) or 1.0 for name in directions}


@dataclass(frozen=True)
class Front:
    """The non-dominated feasible rows of a study, best first in its first objective. Built by `Front.of`.

    Args:
        rows: its rows.
        directions: objectives and which way they are better.
        dense: the dense network's figures, None where there are none.
        study: the study's name.
        device: where it was measured.
        recorded: its hypervolume if that is known already, so that reading a store needs no numpy.
        numerics: how its figures were computed: `exact`; `fast`, not measured again yet; or `remeasured`: found in fast
            numerics, and all figures measured again in exact.
        metric: which way the task's own metric, `accuracy`, is better, whether it is an objective or not.
        whole: the front that its rows were chosen from; None: nobody has chosen.
    """

    rows: tuple[FrontRow, ...]
    directions: Mapping[str, Direction]
    dense: Measures | None = None
    study: str = ""
    device: str = ""
    recorded: float | None = field(default=None, compare=False)
    numerics: Literal["exact", "fast", "remeasured"] = "exact"
    metric: Direction = "maximize"
    whole: Front | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        rows: Iterable[FrontRow],
        directions: Mapping[str, Direction],
        *,
        dense: Measures | None = None,
        study: str = "",
        device: str = "",
        metric: Direction | None = None,
    ) -> Front:
        """The front of any rows: infeasible and dominated ones are left out.

        `metric` may be left out where `accuracy` is an objective, or is maximised.

        Raises:
            ValueError: a feasible row lacks an objective, or it is not a number.
        """
        kept = non_dominated([row for row in rows if row.feasible], directions)
        ordered = sorted(kept, key=lambda row: (*_costs(row, directions), row.trial))
        way = metric or directions.get("accuracy", "maximize")
        return cls(tuple(ordered), dict(directions), dense, study, device, metric=way)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[FrontRow]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> FrontRow:
        return self.rows[index]

    @property
    def trials(self) -> tuple[int, ...]:
        """The numbers of its trials, in increasing order."""
        return tuple(sorted(row.trial for row in self.rows))

    def chosen(self, rows: Iterable[FrontRow]) -> Front:
        """Some of its rows, in any order; `whole` is the front that was there before anything was chosen."""
        return replace(self, rows=tuple(rows), recorded=None, whole=self if self.whole is None else self.whole)

    @overload
    def where(self, text: str) -> Front: ...
    @overload
    def where(self, text: str, by: str) -> FrontRow: ...
    def where(self, text: str, by: str | None = None) -> Front | FrontRow:
        """The rows that satisfy `"accuracy >= dense - 0.01 and params <= 5000"`; with `by`, the best of them.

        Args:
            text: conditions on measures, joined by `and` or commas, absolute or relative to dense.
            by: the measure that chooses one row.

        Raises:
            UsageError: the text is no condition, or speaks of a dense network that was not measured.
            InfeasibleError: `by` is given and no row satisfies the conditions.
        """
        conditions = self._conditions(text)
        found = self.chosen(row for row in self.rows if all(self._holds(c, row) for c in conditions))
        if by is None:
            return found
        if self.rows and not found.rows:
            raise InfeasibleError(f"none of the {len(self)} policies on the front satisfies '{text}'", self._closest(conditions))
        return found.best(by)

    def best(self, by: str) -> FrontRow:
        """The row with the best value of a measure; ties are decided by the objectives in their order, then by number.

        Raises:
            UsageError: no such measure, or it was not measured.
            InfeasibleError: the front is empty.
        """
        if by not in OBJECTIVES:
            raise UsageError(f"'{by}' is not a measure to choose by", did_you_mean(by, OBJECTIVES))
        if not self.rows:
            raise self._empty()
        rows = [row for row in self.rows if getattr(row.measures, by) is not None]
        if not rows:
            raise UsageError(f"{by} was not measured in study '{self.study}'", "choose by another measure")
        way = {by: direction_of(by, self.metric)}
        return min(rows, key=lambda row: (_costs(row, way), _costs(row, self.directions), row.trial))

    def knee(self) -> FrontRow:
        """The row with the best compromise: the smallest sum of objectives scaled to [0, 1] over the front.

        That is the largest distance beyond the plane through (1, 0, ...), (0, 1, ...), ... Ties go to the row that
        comes first.

        Raises:
            InfeasibleError: the front is empty.
        """
        if not self.rows:
            raise self._empty()
        costs = [_costs(row, self.directions) for row in self.rows]
        columns = list(zip(*costs, strict=True))
        lows, spans = [min(c) for c in columns], [max(c) - min(c) for c in columns]
        sums = [sum((v - low) / span for v, low, span in zip(cost, lows, spans, strict=True) if span > 0) for cost in costs]
        return self.rows[sums.index(min(sums))]

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """What the front dominates.

        Args:
            reference: the point to measure from, per objective in its unit. Without it, that of `reference_point`, and
                the result is a share of the dense network's box.

        Returns:
            A volume, at least 0: a share without `reference`, else in the product of the measures' units.

        Raises:
            ValueError: an objective is missing or infinite, in the rows, the reference, or the dense network.
        """
        if reference is None:
            if self.dense is None:
                raise ValueError(f"study '{self.study}' has no dense network to measure from; give a reference")
            reference = reference_point(self.directions, self.dense)
            spans = _spans(self.directions, self.dense, reference)
        else:
            spans = dict.fromkeys(self.directions, 1.0)
        gains = [self._gains(row, reference, spans) for row in self.rows]
        inside = [gain for gain in gains if min(gain) > 0]
        return _volume(inside) if inside else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The front as in `front --format json`; without a dense network its hypervolume is null."""
        volume = self.recorded
        if volume is None and self.dense is not None:
            volume = self.hypervolume()
        return {
            "schema_version": JSON_VERSION,
            "study": self.study,
            "directions": dict(self.directions),
            "device": self.device,
            "dense": None if self.dense is None else self.dense.to_dict(),
            "hypervolume": volume,
            "front": [row.to_dict() for row in self.rows],
            "numerics": self.numerics,
        }

    def _gains(self, row: FrontRow, reference: Mapping[str, float], spans: Mapping[str, float]) -> tuple[float, ...]:
        """How far the row is beyond the reference in every objective, in spans."""
        gains = []
        for name, way in self.directions.items():
            better = row.value(name) - reference[name]
            gains.append((better if way == "maximize" else -better) / spans[name])
        if not all(map(math.isfinite, gains)):
            raise ValueError(
                f"trial {row.trial}: a hypervolume needs finite objectives, got {dict(zip(self.directions, gains, strict=True))}"
            )
        return tuple(gains)

    def _conditions(self, text: str) -> list[Constraint]:
        try:
            conditions = parse_where(text)
        except ValueError as error:
            raise UsageError(f"where: {error}") from None
        relative = [c for c in conditions if c.relative]
        if relative and self.dense is None:
            raise UsageError(f"where: '{relative[0]}' needs the dense network, which was not measured", "write an absolute bound")
        return conditions

    def _holds(self, condition: Constraint, row: FrontRow) -> bool:
        value = getattr(row.measures, condition.measure)
        return value is not None and condition.violation(value, self._dense_value(condition)) <= 0

    def _dense_value(self, condition: Constraint) -> float:
        value = None if self.dense is None else getattr(self.dense, condition.measure)
        return math.nan if value is None else value

    def _closest(self, conditions: Sequence[Constraint]) -> str:
        """What the front has to offer for the first condition that nothing satisfies."""
        for condition in conditions:
            rows = [row for row in self.rows if getattr(row.measures, condition.measure) is not None]
            if rows and not any(self._holds(condition, row) for row in rows):
                row = min(rows, key=lambda r: condition.violation(r.value(condition.measure), 0.0))
                word = "highest" if condition.op == ">=" else "lowest"
                return f"the {word} {condition.measure} on the front is {row.value(condition.measure):.6g} (trial {row.trial})"
        return "each condition holds somewhere, but not all at once: loosen one, or search on with --more"

    def _empty(self) -> InfeasibleError:
        return InfeasibleError(
            f"study '{self.study}' has no feasible policy yet", "search on with --more, or loosen its constraints"
        )


def _volume(gains: Sequence[tuple[float, ...]]) -> float:
    """The volume that lies between 0 and the points, each of them positive in every coordinate."""
    from moocore import hypervolume  # here, as numpy comes with it: 0.1 s that most commands do not need

    return float(hypervolume(gains, ref=[0.0] * len(gains[0]), maximise=True))

"""What each field of a policy may be in a branch: the rules, cut down to what the study says and the model has.

Where the study says nothing, a field takes the default range of the hyper-parameter table. The default ranges of the
integers depend on N and are made here: they leave at least one epoch of training after the last cut, and leave out
what equals a simpler policy (a ramp over one epoch, a single round). What the study says is kept to exactly; a branch in
which that is impossible is not searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prunesearch import rules
from prunesearch.catalogue import CRITERIA
from prunesearch.errors import StudyError, bulleted
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.results import TaskInfo
from prunesearch.spec import Range

Chosen = Mapping[str, Any]

_RULED = frozenset({"schedule_type", "function", "granularity", "criterion", "scope", "recovery", "lr_restart"})
_EPOCHS = frozenset({"epoch_threshold", "converge_over", "prune_iter", "rewind_to", "recovery_epochs"})


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included; whole ones where `integer`."""

    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` is one of the numbers, its step apart (a start policy may lie between two steps)."""
        return self.low <= value <= self.high

    def cut(self, low: float, high: float) -> Interval | None:
        """The part between two bounds, on the same steps; None when nothing is left."""
        low, high = max(self.low, low), min(self.high, high)
        if self.step and low <= high:
            low = self.low + math.ceil((low - self.low) / self.step - 1e-9) * self.step
            high = self.low + math.floor((high - self.low) / self.step + 1e-9) * self.step
        return Interval(low, high, self.integer, self.log, self.step) if low <= high else None


Options = tuple[Any, ...] | Interval
"""Values to choose from, or an interval; an empty tuple where the branch leaves nothing."""


@dataclass(frozen=True)
class Ranges:
    """What the fields of one study's policies may be.

    Args:
        space: what the study says, by field (`ratio.<group>` for ratios).
        info: the task.
        epochs: N.
        normed: the granularities of which every unit that is pruned has a norm behind it.
    """

    space: Mapping[str, Range]
    info: TaskInfo
    epochs: int
    normed: frozenset[str] = frozenset()

    def options(self, name: str, chosen: Chosen) -> Options:
        """What field `name` may be, given the fields decided so far."""
        if HYPERPARAMETERS[name].kind in ("choice", "bool"):
            return self.words(name, chosen)
        return self.numbers(name, chosen)

    def said(self, name: str) -> tuple[Any, ...]:
        """The words that the study wants for a field, equal ones included."""
        h, found = HYPERPARAMETERS[name], self.space.get(name)
        if found is not None and found.choices is not None:
            return found.choices
        return tuple(h.search) if h.search is not None else (h.default,)

    def words(self, name: str, chosen: Chosen) -> tuple[Any, ...]:
        """The words of a choice or switch that the branch, the study and the model allow."""
        if name in ("prune_bias", "prune_output_layer") and chosen["granularity"] != "weight":
            return (False,)
        allowed = rules.choices(name, chosen) if name in _RULED else self.said(name)
        fitting = tuple(word for word in self.said(name) if word in allowed)
        match name:
            case "schedule_type" if self.epochs == 0 and len(fitting) > 1:
                return tuple(word for word in fitting if word != "rewind_pruning")
            case "granularity":
                return tuple(word for word in fitting if word in self.info.granularities)
            case "criterion":
                return self._criteria(fitting, chosen)
            case "function" if self.epochs < 2 and "one_shot_static" in fitting:  # ramps and rounds have no room
                return tuple(f for f in fitting if f == "one_shot_static" or (f == "one_shot" and self.epochs == 1))
        return fitting

    def _criteria(self, fitting: tuple[str, ...], chosen: Chosen) -> tuple[str, ...]:
        """Criteria whose needs are met, one of each class of equals."""
        kept: dict[str, str] = {}
        for word in fitting:
            if not CRITERIA[word].norms or chosen["granularity"] in self.normed:
                kept.setdefault(self.criterion_class(word, chosen), word)
        return tuple(kept.values())

    def criterion_class(self, word: str, chosen: Chosen) -> str:
        """The criterion that `word` always equals in the branch, whatever its scope will be."""
        possible = rules.choices("scope", chosen)
        scopes = [scope for scope in self.said("scope") if scope in possible] or [None]
        return rules.equal_criterion(word, chosen["granularity"], scopes)

    def numbers(self, name: str, chosen: Chosen) -> Options:
        """The numbers of a field that the branch and the study allow."""
        low, high = self.bounds(name, chosen)
        if low > high:
            return ()
        found = self.space.get(name)
        if name == "round_to" and chosen["granularity"] == "weight":
            return (1,)
        if found is None:
            return self._default(name, chosen, low, high)
        if found.choices is not None:
            return tuple(value for value in found.choices if low <= value <= high)
        return self.interval(name, found).cut(low, high) or ()

    def interval(self, name: str, found: Range) -> Interval:
        """A study's range as numbers, with the table's word on whether the scale is logarithmic."""
        h = HYPERPARAMETERS[name]
        assert found.low is not None and found.high is not None  # a range without choices has both
        log = h.log and found.low > 0 and found.step is None if found.log is None else found.log
        integer = h.kind == "int"
        return Interval(found.low, found.high, integer, log, found.step)

    def _default(self, name: str, chosen: Chosen, low: float, high: float) -> Options:
        """The default range within hard bounds: a default range bends to them, and never leaves nothing."""
        h = HYPERPARAMETERS[name]
        wanted = self._usual(name, chosen)
        if wanted is None:
            return (h.default,) if low <= h.default <= high else ()  # type: ignore[operator]
        bottom, top = wanted
        return Interval(min(max(bottom, low), high), max(min(top, high), low), h.kind == "int", h.log)

    def _usual(self, name: str, chosen: Chosen) -> tuple[float, float] | None:
        h, last = HYPERPARAMETERS[name], max(0, self.epochs - 1)
        left = self.epochs - int(chosen.get("epoch_threshold", 0))
        match name:
            case "epoch_threshold":
                rewinds = chosen["schedule_type"] == "rewind_pruning" and not self.info.weights_given
                return (min(rules.scratch_start(self.epochs), last) if rewinds else 0), last
            case "converge_over":
                return 2, max(2, left - 1)
            case "rewind_to":
                return 0, self.epochs
        if h.search_units is not None and chosen["granularity"] != "weight":
            return h.search_units
        return (float(h.search[0]), float(h.search[1])) if h.search is not None else None

    def bounds(self, name: str, chosen: Chosen) -> tuple[float, float]:
        """What is valid in the branch, with room for what is drawn afterwards."""
        if name == "epoch_threshold":
            return self._first_cut(chosen)
        if name in _EPOCHS:
            return rules.bounds(name, chosen)
        low, high = HYPERPARAMETERS[name].valid
        top = math.inf if high is None else high
        if name == "threshold" and chosen["schedule_type"] == "rewind_pruning":
            top = self._most("threshold_max")
        if name == "threshold_max":
            low = chosen["threshold"]
        if name == "round_to" and chosen["granularity"] != "weight":
            top = min((g.size for g in self.info.prunable(chosen["granularity"])), default=1)
        return (-math.inf if low is None else low), top

    def _most(self, name: str) -> float:
        """The largest value that a field can take."""
        found, default = self.space.get(name), HYPERPARAMETERS[name].default
        if found is None:
            return float(default)  # type: ignore[arg-type]
        if found.choices is not None:
            return float(max(found.choices))
        whole = self.interval(name, found).cut(-math.inf, math.inf)
        return whole.high if whole is not None else 0.0

    def _first_cut(self, chosen: Chosen) -> tuple[int, int]:
        """Bounds of `epoch_threshold` that leave the later integers at least their smallest wanted value."""
        low, high = rules.bounds("epoch_threshold", chosen)
        if chosen["schedule_type"] == "rewind_pruning" and not self.info.weights_given:
            low = 1  # the target is the best accuracy before the first cut
        used = rules.used(chosen)
        for name in ("converge_over", "prune_iter", "recovery_epochs"):
            if name in used:
                high = min(high, self.epochs - self._least(name, chosen))
        if "rewind_to" in used:
            low = max(low, self._least("rewind_to", chosen))
        return low, high

    def _least(self, name: str, chosen: Chosen) -> int:
        """Epochs that field `name` needs after (`rewind_to`: before) the first cut."""
        found = self.space.get(name)
        if found is not None:
            least = int(min(found.choices) if found.choices is not None else found.low or 0)
            spare = name in ("prune_iter", "recovery_epochs") and least == 1  # one round, or one epoch, fits even after the last
            return least - int(spare or (name == "prune_iter" and chosen.get("last_cut") == "at_end"))
        usual = {"converge_over": 3 if self.epochs >= 3 else 2, "prune_iter": 2}.get(name, 0)
        return min(usual, self.epochs)

    def words_of(self, name: str) -> str:
        """What the study says about a field, in words."""
        found = self.space.get(name)
        if found is None:
            return "nothing"
        if found.choices is not None:
            return ", ".join(str(c) for c in found.choices)
        return f"{found.low:g} to {found.high:g}"

    def left_out(self) -> tuple[str, ...]:
        """What the study names and the model has nothing for, in words."""
        has, notes = ", ".join(self.info.granularities), []
        if "granularity" in self.space:
            missing = [g for g in self.said("granularity") if g not in self.info.granularities]
            notes += [f"granularity '{g}' is left out: the model has {has}" for g in missing]
        bare = [g for g in self.said("granularity") if g in self.info.granularities and g != "weight" and g not in self.normed]
        if "criterion" in self.space and bare:
            needy = [c for c in self.said("criterion") if CRITERIA[c].norms]
            notes += [f"criterion '{c}' is left out for {', '.join(bare)}: it needs a norm behind every unit" for c in needy]
        return tuple(notes)


def unique(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values in their order, each once."""
    return tuple(dict.fromkeys(values))


def check_whole(space: Mapping[str, Range]) -> None:
    """Refuse ranges of whole numbers that are not whole.

    Raises:
        StudyError: naming each of them.
    """
    problems = []
    for name, found in space.items():
        numbers = [v for v in (found.low, found.high, found.step, *(found.choices or ())) if isinstance(v, float)]
        if HYPERPARAMETERS[name.split(".")[0]].kind == "int" and any(v != int(v) for v in numbers):
            problems.append(f"space.{name}: takes whole numbers, got {', '.join(f'{v:g}' for v in numbers)}")
        if found.log and found.step is not None:
            problems.append(f"space.{name}: a logarithmic range has no step")
    if problems:
        raise StudyError(f"study: {bulleted(problems)}", "correct the study file")

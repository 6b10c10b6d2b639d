"""Who decides when the search space is walked: an Optuna trial, a policy that is known already, or defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.search.ranges import Interval

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


class Source(Protocol):
    """Decides each field of a policy in turn.

    `field` is the field's name (`ratio.<key>` for a ratio), `label` the Optuna parameter's.
    """

    def word(self, field: str, label: str, options: tuple[Any, ...], /) -> Any:
        """One of several values."""
        ...

    def number(self, field: str, label: str, interval: Interval, /) -> float:
        """A number of an interval."""
        ...

    def only(self, field: str, value: Any, /) -> Any:
        """The one value that there is."""
        ...


class Suggested:
    """Draws from an Optuna trial, or reads what the trial holds already."""

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial

    def word(self, _field: str, label: str, options: tuple[Any, ...]) -> Any:
        """Suggested from the options."""
        return self._trial.suggest_categorical(label, options)

    def number(self, _field: str, label: str, interval: Interval) -> float:
        """Suggested from the interval."""
        if interval.integer:
            low, high, step = int(interval.low), int(interval.high), int(interval.step or 1)
            return self._trial.suggest_int(label, low, high, step=step, log=interval.log)
        return self._trial.suggest_float(label, interval.low, interval.high, step=interval.step, log=interval.log)

    def only(self, _field: str, value: Any) -> Any:
        """That value."""
        return value


class Known:
    """Takes the values of a policy, notes them as Optuna parameters, and notes what is not in the space.

    Args:
        values: the policy's fields, ratios by `ratio.<key>`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.params: dict[str, Any] = {}
        self.problems: list[str] = []

    def word(self, field: str, label: str, options: tuple[Any, ...]) -> Any:
        """The policy's value, or the first option and a problem."""
        value = self._values.get(field)
        if value not in options:
            words = ", ".join(_told(o) for o in options)
            self.problems.append(f"{field}: the space has {words}, got {_told(value)}")
            value = options[0]
        self.params[label] = value
        return value

    def number(self, field: str, label: str, interval: Interval) -> float:
        """The policy's value, or the nearest in the interval and a problem."""
        value = self._values.get(field)
        if value is None or not interval.holds(value):
            self.problems.append(f"{field}: the space reaches from {interval.low:g} to {interval.high:g}, got {_told(value)}")
            value = interval.low
        self.params[label] = value
        return float(value) if not interval.integer else int(value)

    def only(self, field: str, value: Any) -> Any:
        """The space's value, and a problem where the policy has another one."""
        mine = self._values.get(field)
        if mine != value:
            self.problems.append(f"{field}: the space has only {_told(value)}, got {_told(mine)}")
        return value


class Defaults:
    """Takes given values where they are possible, else defaults, and notes the parameters.

    Args:
        given: values by field.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.labels: list[str] = []

    def word(self, field: str, label: str, options: tuple[Any, ...]) -> Any:
        """The given value, or the default, or the first option."""
        self.labels.append(label)
        h = HYPERPARAMETERS.get(field)
        wanted = (self._given.get(field), h.default if h else None)
        return next((value for value in wanted if value in options), options[0])

    def number(self, field: str, label: str, interval: Interval) -> float:
        """The given value, or the default, moved into the interval."""
        self.labels.append(label)
        same = "threshold" if field.startswith("ratio.") else field  # a policy that said one fraction means it for all groups
        wanted = (self._given.get(field), self._given.get(same), HYPERPARAMETERS[same].default, interval.low)
        value = next(v for v in wanted if isinstance(v, int | float))
        value = min(max(value, interval.low), interval.high)
        return int(value) if interval.integer else float(value)

    def only(self, _field: str, value: Any) -> Any:
        """That value."""
        return value


def _told(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else "nothing" if value is None else str(value)

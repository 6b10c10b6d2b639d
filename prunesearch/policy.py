"""`Policy`: everything that says how one candidate is pruned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunesearch import rules, yamlfile
from prunesearch.catalogue import CRITERIA
from prunesearch.errors import PolicyError, bulleted, did_you_mean
from prunesearch.hyperparameters import HYPERPARAMETERS

Ratio = dict[str, float]


def _field(name: str) -> Any:
    """The pydantic field of a hyper-parameter: range and help text from the one table."""
    h = HYPERPARAMETERS[name]
    given: dict[str, Any] = {"description": h.help}
    if h.kind in ("float", "int"):
        given |= {"ge": h.valid[0], "le": h.valid[1], "lt": h.below}
    if h.kind == "float":
        given |= {"allow_inf_nan": False}
    if name == "epochs":
        return Field(**given)
    return Field(default=h.default if name in rules.ALWAYS else None, **given)


class Policy(BaseModel):
    """How one candidate is pruned: frozen, validated, with a stable `digest`.

    Fields and their meaning are those of `prunesearch.hyperparameters.HYPERPARAMETERS`; what a branch does not use is
    `None`. A field that the branch uses and that is not given takes its default.

    Raises:
        PolicyError: from `parse` and `load`, with all problems at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = _field("epochs")
    schedule_type: Literal["magnitude_percentage", "magnitude_threshold", "rewind_pruning"] = _field("schedule_type")
    function: Literal["one_shot", "one_shot_static", "gradual", "iterative"] | None = _field("function")
    granularity: Literal["weight", "neuron", "filter", "unit"] = _field("granularity")
    criterion: str = _field("criterion")
    scope: Literal["layer", "global", "ratios"] | None = _field("scope")
    threshold: float | None = _field("threshold")
    ratio: Ratio | None = _field("ratio")
    weight_threshold: float | None = _field("weight_threshold")
    threshold_step: float | None = _field("threshold_step")
    threshold_max: float | None = _field("threshold_max")
    eps: float | None = _field("eps")
    initial_learning_rate: float | None = _field("initial_learning_rate")
    recovery_epochs: int | None = _field("recovery_epochs")
    epoch_threshold: int = _field("epoch_threshold")
    converge_over: int | None = _field("converge_over")
    ramp: Literal["linear", "cubic"] | None = _field("ramp")
    prune_iter: int | None = _field("prune_iter")
    last_cut: Literal["trained", "at_end"] | None = _field("last_cut")
    recovery: Literal["keep", "reinit", "rewind_weights"] = _field("recovery")
    rewind_to: int | None = _field("rewind_to")
    lr_restart: bool = _field("lr_restart")
    min_units: int = _field("min_units")
    round_to: int = _field("round_to")
    prune_bias: bool = _field("prune_bias")
    prune_output_layer: bool = _field("prune_output_layer")
    spare: tuple[str, ...] = _field("spare")
    only: tuple[str, ...] = _field("only")
    recalibrate_batches: int = _field("recalibrate_batches")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        return fill_defaults(given) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = check(self.present())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def parse(cls, given: object, where: str = "policy") -> Policy:
        """A policy from plain data.

        Args:
            given: a mapping of fields, as read from YAML or JSON.
            where: what the data is called in messages.

        Raises:
            PolicyError: listing everything that is wrong with it.
        """
        if not isinstance(given, Mapping):
            raise PolicyError(
                f"{where}: expected fields such as 'threshold: 0.5', got {_kind(given)}", "docs/policies.md lists the fields"
            )
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            problems = problems_of(error, cls.model_fields)
            told = {p.split(":")[0] for p in problems}
            problems += [p for p in _further(given) if p.split(":")[0] not in told]
            raise PolicyError(f"{where}: {bulleted(problems)}", "docs/policies.md says what goes with what") from None

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """A policy from a YAML or JSON file.

        Raises:
            PolicyError: the file is missing, unreadable, or not a valid policy.
        """
        return cls.parse(yamlfile.load(path, PolicyError), str(path))

    def present(self) -> dict[str, Any]:
        """The fields that are not absent, as plain data."""
        return {k: v for k, v in self.model_dump().items() if v is not None}

    def to_dict(self) -> dict[str, Any]:
        """What has to be written down: the fields present, without those at a default of every policy."""
        skip = {"min_units", "round_to", "prune_bias", "prune_output_layer", "spare", "only", "recalibrate_batches"}
        kept = {k: v for k, v in self.present().items() if not (k in skip and v == HYPERPARAMETERS[k].default)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}

    def to_yaml(self) -> str:
        """The policy as YAML, one field a line."""
        return yamlfile.dump(self.to_dict())

    def canonical(self) -> Policy:
        """The same policy in the one form that all policies with equal orders share."""
        return Policy.model_validate(canonical_fields(self.present()))

    @property
    def digest(self) -> str:
        """16 hex digits that equal policies share, whatever form they are written in."""
        text = json.dumps(self.canonical().to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def is_unit(self) -> bool:
        """Whether whole neurons or filters are removed, rather than single weights."""
        return self.granularity != "weight"

    def rescaled(self, epochs: int) -> Policy:
        """The policy for another number of epochs: E, C, rewind_to and recovery_epochs keep their share of N."""
        if epochs == self.epochs:
            return self
        fields = self.present()
        share = epochs / self.epochs if self.epochs else 0.0
        for name in ("epoch_threshold", "converge_over", "rewind_to", "recovery_epochs"):
            if name in fields:
                fields[name] = int(fields[name] * share + 0.5)
        fields["epochs"] = epochs
        for name in ("epoch_threshold", "converge_over", "prune_iter", "rewind_to", "recovery_epochs"):
            if name in fields:
                low, high = rules.bounds(name, fields)
                fields[name] = min(max(fields[name], low), high)
        return Policy.model_validate(fields)


def fill_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the defaults of the fields that its branch uses and that it does not hold."""
    fields = {k: v for k, v in given.items() if v is not None}
    for name in ("schedule_type", "granularity", "criterion"):
        fields.setdefault(name, HYPERPARAMETERS[name].default)
    if fields["schedule_type"] == "rewind_pruning":
        fields.setdefault("epoch_threshold", _scratch_default(fields.get("epochs")))
    for _ in range(3):  # a default may open a branch with defaults of its own: function, scope, then recovery
        for name in sorted(rules.used(fields) - {"epochs", "ratio"}):
            fields.setdefault(name, _branch_default(name, fields))
    return fields


def _scratch_default(epochs: object) -> int:
    return min(rules.scratch_start(epochs), max(0, epochs - 1)) if isinstance(epochs, int) and epochs > 0 else 0


def _branch_default(name: str, fields: Mapping[str, Any]) -> Any:
    if name == "lr_restart":
        return rules.choices(name, fields)[0]
    if name in ("converge_over", "prune_iter", "recovery_epochs"):
        try:
            low, high = rules.bounds(name, fields)
        except (KeyError, TypeError, ValueError):
            return HYPERPARAMETERS[name].default
        return min(max(HYPERPARAMETERS[name].default, low), max(low, high))  # type: ignore[call-overload]
    return HYPERPARAMETERS[name].default


def check(fields: Mapping[str, Any]) -> list[str]:
    """What is wrong with a policy's fields beyond their single ranges, in words."""
    problems = [_unused(name, fields) for name in fields if name not in rules.used(fields)]
    for name in ("function", "scope", "criterion", "recovery", "lr_restart"):
        if name in fields and name in rules.used(fields):
            allowed = rules.choices(name, fields)
            if fields[name] not in allowed:
                problems.append(_not_allowed(name, fields, allowed))
    for name in ("epoch_threshold", "converge_over", "prune_iter", "rewind_to", "recovery_epochs"):
        if name in fields and name in rules.used(fields):
            low, high = rules.bounds(name, fields)
            if not low <= fields[name] <= high:
                problems.append(_out_of_bounds(name, fields, low, high))
    return problems + _amounts(fields)


def _amounts(fields: Mapping[str, Any]) -> list[str]:
    problems = []
    if "ratio" in rules.used(fields) and not fields.get("ratio"):
        problems.append("ratio: scope 'ratios' needs a fraction per group, such as ratio: {default: 0.5}")
    for group, value in (fields.get("ratio") or {}).items():
        if not 0.0 <= value < 1.0:
            problems.append(f"ratio.{group}: must be at least 0 and below 1, got {value}")
    if "threshold_max" in fields and "threshold" in fields and fields["threshold_max"] < fields["threshold"]:
        problems.append(f"threshold_max: must be at least threshold = {fields['threshold']}, got {fields['threshold_max']}")
    if fields.get("granularity") != "weight" and fields.get("prune_bias"):
        problems.append("prune_bias: a unit's bias always goes with it; the field is for granularity 'weight'")
    if fields.get("granularity") == "weight" and fields.get("round_to", 1) != 1:
        problems.append("round_to: rounds widths, so it needs granularity 'neuron', 'filter' or 'unit'")
    return problems


def _unused(name: str, fields: Mapping[str, Any]) -> str:
    kind = fields.get("function") or fields["schedule_type"]
    if name == "ratio" or (name == "threshold" and fields.get("scope") == "ratios"):
        return f"{name}: not used with scope '{fields.get('scope')}' under {fields['schedule_type']}"
    if name == "rewind_to":
        return f"rewind_to: not used with recovery '{fields.get('recovery')}'"
    owner = fields["schedule_type"] if name in ("function", "scope", "weight_threshold") else kind
    return f"{name}: not used by {owner}"


def _not_allowed(name: str, fields: Mapping[str, Any], allowed: tuple[Any, ...]) -> str:
    value = fields[name]
    if name == "criterion" and value not in CRITERIA:
        return f"criterion: '{value}' is unknown; {did_you_mean(str(value), CRITERIA)}"
    with_what = {
        "criterion": f"granularity '{fields['granularity']}' under {fields['schedule_type']}",
        "lr_restart": f"{fields.get('function') or fields['schedule_type']} with recovery '{fields.get('recovery')}'",
    }.get(name, str(fields.get("function") if name == "recovery" and fields.get("function") else fields["schedule_type"]))
    words = ", ".join(str(a).lower() if isinstance(a, bool) else str(a) for a in allowed) or "nothing"
    return f"{name}: '{str(value).lower()}' does not go with {with_what}; it takes {words}"


def _out_of_bounds(name: str, fields: Mapping[str, Any], low: int, high: int) -> str:
    told = f"epochs = {fields['epochs']}, epoch_threshold = {fields['epoch_threshold']}"
    if name == "converge_over":
        end = fields["epoch_threshold"] + fields[name]
        return f"converge_over: epoch_threshold + converge_over = {end} lies beyond the {fields['epochs']} epochs"
    return f"{name}: must be between {low} and {high} with {told}, got {fields[name]}"


def canonical_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the canonical policy: equal orders, one form."""
    fields = dict(given)
    fields["criterion"] = rules.equal_criterion(fields["criterion"], fields["granularity"], (fields.get("scope"),))
    one_cut = (
        (fields.get("function") == "gradual" and fields["converge_over"] <= 1)
        or (fields.get("function") == "iterative" and fields["prune_iter"] == 1)
        or (fields.get("function") == "one_shot" and fields["epoch_threshold"] == fields["epochs"])
    )
    if one_cut:
        fields["epoch_threshold"] = rules.last_cut_epoch(fields)
        fields["function"] = "one_shot_static"
    for name in ("spare", "only"):
        fields[name] = tuple(sorted(set(fields.get(name, ()))))
    if fields.get("ratio"):
        fields["ratio"] = dict(sorted(fields["ratio"].items()))
    return {k: v for k, v in fields.items() if k in rules.used(fields)}


def problems_of(error: ValidationError, known: Mapping[str, Any]) -> list[str]:
    """pydantic's findings as lines in our words, with did-you-mean for unknown fields."""
    lines: list[str] = []
    for found in error.errors():
        name = ".".join(str(part) for part in found["loc"])
        match found["type"]:
            case "value_error":
                text = str(found["msg"]).removeprefix("Value error, ")
                lines += [_under(name, line) for line in text.split("\n")]
            case "extra_forbidden":
                lines.append(f"{name}: unknown field; {did_you_mean(str(found['loc'][-1]), known)}")
            case "missing":
                lines.append(f"{name}: is missing")
            case _:
                lines.append(f"{name}: {_plain(str(found['msg']))}, got {found['input']!r}")
    return lines


def _under(name: str, line: str) -> str:
    """A validator's line under its field's name; `.threshold: ...` continues the name."""
    return f"{name}{line}" if line.startswith(".") else f"{name}: {line}" if name else line


def _plain(message: str) -> str:
    return message.replace("Input should be", "must be").replace("Input must be", "must be")


def _further(given: Mapping[Any, Any]) -> list[str]:
    """What `check` finds in fields whose single values were refused already, as far as they can be read."""
    try:
        return check(fill_defaults({k: v for k, v in given.items() if k in HYPERPARAMETERS}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _kind(value: object) -> str:
    return "an empty file" if value is None else type(value).__name__

"""`StudySpec`: the definition file of a study, and where ready ones are found."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from prunesearch import yamlfile
from prunesearch.errors import StudyError, bulleted, did_you_mean
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.policy import problems_of
from prunesearch.results import OBJECTIVES, LatencySpec
from prunesearch.sensitivity import Sensitivity, read

SAMPLERS = ("tpe", "tpe_multivariate", "random", "nsga2", "gp")
STUDY_FILES = (".yaml", ".yml", ".json")
"""What a study file's name ends in, and no study's."""
LONGEST = 200
"""Characters of a study's name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CONSTRAINT = re.compile(rf"^\s*(<=|>=)\s*(?:(dense)(?:\s*([-+*])\s*({_NUMBER}))?|([-+]?{_NUMBER}))\s*$")


@dataclass(frozen=True)
class Constraint:
    """`measure op bound`, the bound absolute or relative to the dense network: `>= dense - 0.02`, `<= dense * 0.5`."""

    measure: str
    op: Literal["<=", ">="]
    number: float
    relative: Literal["", "+", "-", "*"] = ""

    @classmethod
    def parse(cls, measure: str, text: object) -> Constraint:
        """A constraint from `"params"` and `"<= 50000"`.

        Raises:
            ValueError: in words that name what is wrong.
        """
        if measure not in OBJECTIVES:
            raise ValueError(f"'{measure}' is not a measure; {did_you_mean(measure, OBJECTIVES)}")
        found = _CONSTRAINT.match(str(text))
        if not found:
            raise ValueError(f"'{text}' is not a constraint; write '<= 50000', '>= dense - 0.02' or '<= dense * 0.5'")
        op: Any
        relative: Any
        op, dense, relative, change, bound = found.groups()
        return cls(measure, op, float(change or 1.0), relative or "*") if dense else cls(measure, op, float(bound))

    def bound(self, dense: float) -> float:
        """The bound as a number, given the dense network's value of the measure."""
        match self.relative:
            case "+":
                return dense + self.number
            case "-":
                return dense - self.number
            case "*":
                return dense * self.number
        return self.number

    def violation(self, value: float, dense: float) -> float:
        """How far `value` is beyond the bound, in the measure's unit; zero or less is feasible."""
        bound = self.bound(dense)
        beyond = value - bound if self.op == "<=" else bound - value
        return 0.0 if abs(beyond) <= 1e-12 * max(1.0, abs(bound)) else beyond  # 0.9 - 0.02 is not 0.88 in binary

    def __str__(self) -> str:
        number = f"{self.number:.12g}"
        return f"{self.measure} {self.op} " + (f"dense {self.relative} {number}" if self.relative else number)


def parse_where(text: str) -> list[Constraint]:
    """The constraints of `accuracy >= dense - 0.01 and params <= 5000`, joined by `and` or commas.

    Raises:
        ValueError: in words that name what is wrong.
    """
    parts = [p for p in re.split(r"\s+and\s+|,", text.strip()) if p.strip()]
    if not parts:
        raise ValueError("an empty condition; write 'accuracy >= dense - 0.01'")
    out = []
    for part in parts:
        found = re.match(r"^\s*([a-z_]+)\s*(.*)$", part)
        if not found:
            raise ValueError(f"'{part.strip()}' is not a condition; write 'accuracy >= dense - 0.01'")
        out.append(Constraint.parse(found[1], found[2]))
    return out


@dataclass(frozen=True)
class Range:
    """What is searched for one field: words or values to choose from, or numbers from `low` to `high`."""

    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool | None = None
    step: float | None = None

    @classmethod
    def parse(cls, name: str, given: object) -> Range:
        """A range from its short or long form: words, two numbers, one value, `{low, high, log, step}`, `{choices: []}`.

        Raises:
            ValueError: in words that name what is wrong.
        """
        numeric = HYPERPARAMETERS[name].kind in ("float", "int", "ratios") if name in HYPERPARAMETERS else True
        match given:
            case {"choices": list() as listed, **rest} if not rest and listed:
                return cls(choices=tuple(listed))
            case {"low": low, "high": high, **rest} if not set(rest) - {"log", "step"}:
                return cls._numbers(low, high, **{str(k): v for k, v in rest.items()})
            case dict():
                raise ValueError("write {low, high, log, step} or {choices: [...]}")
            case [low, high] if numeric and _is_number(low) and _is_number(high):
                return cls._numbers(low, high)
            case list() if given and not numeric:
                return cls(choices=tuple(given))
            case list():
                raise ValueError("write two numbers for a range, {choices: [...]} for single values, or one value")
            case None:
                raise ValueError("is empty")
        return cls(choices=(given,))

    @classmethod
    def _numbers(cls, low: object, high: object, log: Any = None, step: Any = None) -> Range:
        if not (_is_number(low) and _is_number(high)):
            raise ValueError(f"low and high must be numbers, got low={low!r}, high={high!r}")
        assert isinstance(low, int | float) and isinstance(high, int | float)
        if low > high:
            raise ValueError(f"low <= high must hold, but got (low={low}, high={high})")
        if not isinstance(log, bool | None):
            raise ValueError(f"log must be true or false, got {log!r}")
        if step is not None and not (_is_number(step) and 0 < step < math.inf):
            raise ValueError(f"step must be a number above 0, got {step!r}")
        if log and low <= 0:
            raise ValueError(f"a logarithmic range must start above 0, but got (low={low})")
        return cls(low=low, high=high, log=log, step=step)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ranges(given: object) -> object:
    """`space` with every entry parsed; `ratio` is a mapping of group globs to ranges."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError("expected fields such as 'threshold: [0.3, 0.98]'")
    problems, out = [], {}
    for name, value in given.items():
        if name == "ratio" and isinstance(value, Mapping) and not {"low", "choices"} & set(value):
            entries = {f"ratio.{key}": v for key, v in value.items()}
        else:
            entries = {"ratio.default" if name == "ratio" else str(name): value}
        for key, entry in entries.items():
            try:
                field, dotted, _ = key.partition(".")
                if field not in HYPERPARAMETERS or field == "epochs" or (dotted and field != "ratio"):
                    raise ValueError(f"unknown field; {did_you_mean(field, set(HYPERPARAMETERS) - {'epochs'})}")
                out[key] = entry if isinstance(entry, Range) else checked(field, Range.parse(field, entry))
            except ValueError as problem:
                problems.append(f".{key}: {problem}")
    if problems:
        raise ValueError("\n".join(problems))
    return out


def checked(field: str, found: Range) -> Range:
    """`found`, if all its values are valid for the hyper-parameter.

    Raises:
        ValueError: naming the value that is not.
    """
    h = HYPERPARAMETERS[field]
    for value in (found.low, found.high, *(found.choices or ())):
        if value is None:
            continue
        if h.kind in ("float", "int", "ratios"):
            if not _is_number(value):
                raise ValueError(f"must be a number, got {value!r}")
            low, high = h.valid
            bounds = ((value, ">=", low), (value, "<=", high), (value, "<", h.below))
            if not all(_holds(*b) for b in bounds):
                allowed = " and ".join(f"{op} {bound}" for _, op, bound in bounds if bound is not None)
                raise ValueError(f"must be {allowed}, got {value}")
        elif h.choices and value not in tuple(h.choices):
            raise ValueError(f"'{value}' is unknown; {did_you_mean(str(value), h.choices)}")
        elif h.kind == "bool" and not isinstance(value, bool):
            raise ValueError(f"must be true or false, got {value!r}")
    return found


def _holds(value: float, op: str, bound: float | None) -> bool:
    return bound is None or {">=": value >= bound, "<=": value <= bound, "<": value < bound}[op]


def _constraints(given: object) -> object:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError("expected measures such as 'params: \"<= 50000\"'")
    problems, out = [], {}
    for name, value in given.items():
        try:
            out[str(name)] = value if isinstance(value, Constraint) else Constraint.parse(str(name), value)
        except ValueError as problem:
            problems.append(f".{name}: {problem}")
    if problems:
        raise ValueError("\n".join(problems))
    return out


class StudySpec(BaseModel):
    """What a study searches: task, space, objectives, constraints, budget. Read from a YAML file, stored with the study.

    Raises:
        StudyError: from `parse`, `load` and `find`, with all problems at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = Field(max_length=LONGEST, description="its name in the store")
    task: str = Field(min_length=1, description="a built-in task, or my_task.py:make_task")
    description: str = Field("", description="one line, shown by 'prunesearch studies'")
    epochs: int | None = Field(None, ge=0, description="N, epochs of every trial; the task's own when left out")
    trials: int = Field(50, ge=1, description="trials of the study, whoever runs them")
    timeout: float | None = Field(None, gt=0, allow_inf_nan=False, description="seconds after which no trial is started")
    seed: int = Field(0, ge=0, description="seed of splits, initial values, data order and sampler")
    objectives: tuple[str, ...] = Field(("accuracy", "params", "latency_ms"), description="measures on the Pareto front")
    constraints: Annotated[dict[str, Constraint], BeforeValidator(_constraints)] = Field(
        default_factory=dict, description="bounds on measures, absolute or relative to dense"
    )
    latency: LatencySpec = Field(LatencySpec(), description="how latency is measured")
    sampler: Literal["tpe", "tpe_multivariate", "random", "nsga2", "gp"] = Field("tpe", description="who proposes policies")
    space: Annotated[dict[str, Range], BeforeValidator(_ranges)] = Field(default_factory=dict, description="what is searched")
    tie_ratios: bool | None = Field(
        None, description="whether a stage of the network shares one ratio; default: when they are many"
    )
    start: tuple[dict[str, Any], ...] = Field((), description="policies that are tried first")
    sensitivity: Annotated[Sensitivity | None, BeforeValidator(read)] = Field(
        None, description="file of 'prunesearch sensitivity --to': policies to try first, and ranges of ratios, are made from it"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:1")
    numerics: Literal["exact", "fast"] = Field(
        "exact", description="exact: float32; fast: training in bfloat16, and the front again in exact"
    )
    engine: Literal["process", "serial", "fake"] = Field("process", description="who runs trials")
    workers: int = Field(0, ge=0, description="trials at a time; 0 = as many as the machine bears")
    graphs: bool = Field(False, description="training steps as CUDA graphs: for tiny networks; nothing on the CPU")
    workers_per_gpu: int = Field(1, ge=0, description="trials at a time on a GPU; 0 = as many as a short measurement finds best")

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"must begin with a letter or digit and go on with these, '_', '.' and '-', got '{name}'")
        if name.endswith(STUDY_FILES):
            raise ValueError(f"'{name}' would be looked for as a file; leave '{Path(name).suffix}' out")
        return name

    @field_validator("objectives")
    @classmethod
    def _known_measures(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        problems = [f"'{o}' is not a measure; {did_you_mean(o, OBJECTIVES)}" for o in objectives if o not in OBJECTIVES]
        if not objectives or len(set(objectives)) < len(objectives):
            problems.append("name at least one measure, each once")
        if problems:
            raise ValueError("\n".join(problems))
        return objectives

    @classmethod
    def parse(cls, given: object, where: str = "study") -> StudySpec:
        """A study from plain data.

        Raises:
            StudyError: listing everything that is wrong with it.
        """
        if not isinstance(given, Mapping):
            kind = "an empty file" if given is None else type(given).__name__
            raise StudyError(f"{where}: expected fields such as 'task: digits-mlp', got {kind}", "see 'prunesearch init'")
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise StudyError(
                f"{where}: {bulleted(problems_of(error, cls.model_fields))}", "'prunesearch init' writes a commented example"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> StudySpec:
        """A study from a YAML file; its `name` defaults to the file's."""
        given = yamlfile.load(path, StudyError)
        if isinstance(given, Mapping):
            given = {"name": name_from(Path(path).stem), **given}
            if isinstance(given.get("sensitivity"), str):  # told from the study file
                given["sensitivity"] = Path(path).parent / given["sensitivity"]
        return cls.parse(given, str(path))

    @classmethod
    def find(cls, name: str) -> StudySpec:
        """A study from a path that ends in .yaml, .yml or .json, or a ready one by name.

        Raises:
            StudyError: no such file, or no such ready study.
        """
        if name.endswith(STUDY_FILES):
            return cls.load(name)
        ready = ready_studies()
        if name not in ready:
            hint = f"{did_you_mean(name, ready)} ('prunesearch studies' lists them)"
            raise StudyError(f"no ready study is called '{name}'", hint)
        return cls.load(ready[name])

    def to_dict(self) -> dict[str, Any]:
        """The study as plain data that `parse` reads back to an equal one."""
        plain = self.model_dump(exclude={"space", "constraints"}, exclude_none=True, mode="json")
        plain["constraints"] = {c.measure: str(c).removeprefix(c.measure).strip() for c in self.constraints.values()}
        space: dict[str, Any] = {}
        for key, found in self.space.items():
            value = _written(found)
            if key.startswith("ratio."):
                space.setdefault("ratio", {})[key.removeprefix("ratio.")] = value
            else:
                space[key] = value
        plain["space"] = space
        return plain


def name_from(text: str) -> str:
    """A name that a study may have, made of a file's or a task's."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip("_.-")[:LONGEST]
    while name.endswith(STUDY_FILES):
        name = name.rpartition(".")[0]
    return name or "study"


def _written(found: Range) -> Any:
    if found.choices is not None:
        return {"choices": list(found.choices)}
    extra = {k: v for k, v in (("log", found.log), ("step", found.step)) if v is not None}
    return {"low": found.low, "high": found.high, **extra}


def ready_studies() -> dict[str, Path]:
    """The studies that are shipped with prunesearch: name -> file."""
    for folder in (Path(str(files("prunesearch"))) / "studies", Path(str(files("prunesearch"))).parent / "studies"):
        if folder.is_dir():
            return {p.stem: p for p in sorted(folder.glob("*.yaml"))}
    return {}

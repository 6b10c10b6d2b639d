"""How arguments are spelt on the command line. What they mean stands in `prunesearch.api.arguments`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from prunesearch.api.arguments import ARGUMENTS
from prunesearch.results import NUMERICS, OBJECTIVES
from prunesearch.spec import SAMPLERS

Format = Literal["table", "json", "csv"]


@dataclass(frozen=True)
class Spelling:
    """One argument on the command line.

    Args:
        type: what Typer converts the words to.
        flags: option names; none for a positional argument.
        metavar: placeholder in help texts.
        minimum: smallest number that is accepted.
    """

    type: Any
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    minimum: float | None = None


def _one_of(words: tuple[str, ...]) -> Any:
    """The type of one of `words`, which stand in a table elsewhere."""
    return Literal.__getitem__(words)


SPELLINGS: Mapping[str, Spelling] = {
    "study": Spelling(str, metavar="STUDY"),
    "policy": Spelling(str, metavar="POLICY"),
    "bundle": Spelling(str, metavar="DIR"),
    "task": Spelling(str, ("--task", "-t"), "TASK"),
    "name": Spelling(str, ("--name",), "NAME"),
    "as_": Spelling(str, ("--as",), "NAME"),
    "trials": Spelling(int, ("--trials", "-n"), "N", 1),
    "more": Spelling(int, ("--more",), "N", 1),
    "timeout": Spelling(float, ("--timeout",), "SECONDS", 0.001),
    "seed": Spelling(int, ("--seed",), "N", 0),
    "seeds": Spelling(int, ("--seeds",), "N", 1),
    "epochs": Spelling(int, ("--epochs", "-e"), "N", 0),
    "workers": Spelling(str, ("--workers", "-w"), "N|auto"),
    "workers_per_gpu": Spelling(str, ("--workers-per-gpu",), "N|auto"),
    "engine": Spelling(Literal["process", "serial", "fake"], ("--engine",)),
    "device": Spelling(str, ("--device",), "DEVICE"),
    "store": Spelling(str, ("--store", "--storage"), "URL"),
    "sampler": Spelling(_one_of(SAMPLERS), ("--sampler",)),
    "numerics": Spelling(_one_of(tuple(NUMERICS)), ("--numerics",)),
    "data_dir": Spelling(str, ("--data-dir",), "DIR"),
    "keep": Spelling(Literal["front", "all", "none"], ("--keep",)),
    "artifacts": Spelling(str, ("--artifacts",), "DIR"),
    "stage_budget": Spelling(float, ("--stage-budget",), "GIB", 0),
    "dry_run": Spelling(bool, ("--dry-run",)),
    "plugin": Spelling(list[str], ("--plugin",), "FILE"),
    "trial": Spelling(int, ("--trial",), "N", 0),
    "knee": Spelling(bool, ("--knee",)),
    "where": Spelling(str, ("--where",), "CONDITION"),
    "by": Spelling(_one_of(OBJECTIVES), ("--by",), "MEASURE"),
    "plot": Spelling(str, ("--plot",), "FILE"),
    "to": Spelling(str, ("--to",), "DIR"),
    "record": Spelling(str, ("--record",), "DIR"),
    "recording": Spelling(str, metavar="RECORDING"),
    "what": Spelling(list[str], ("--what",), "network|weights|filters"),
    "frame": Spelling(str, ("--frame",), "first|last|N"),
    "fps": Spelling(float, ("--fps",), "N", 0.1),
    "width": Spelling(int, ("--width",), "PIXELS", 300),
    "full": Spelling(bool, ("--full",)),
    "levels": Spelling(str, ("--levels", "-k"), "K,K,..."),
    "granularities": Spelling(list[str], ("--granularity",), "WORD"),
    "criteria": Spelling(list[str], ("--criterion",), "WORD"),
    "criterion": Spelling(str, ("--criterion",), "WORD"),
    "sensitivity": Spelling(str, ("--sensitivity",), "FILE"),
    "scopes": Spelling(list[str], ("--scope",), "WORD"),
    "retrain": Spelling(int, ("--retrain",), "EPOCHS", 0),
    "policies": Spelling(list[str], ("--policy",), "FILE"),
    "schedules": Spelling(bool, ("--schedules",)),
    "latency": Spelling(bool, ("--latency",)),
    "axis": Spelling(Literal["sparsity", "removed"], ("--axis",)),
    "against": Spelling(str, ("--against",), "FILE"),
    "force": Spelling(bool, ("--force",)),
    "port": Spelling(int, ("--port",), "N", 0),
}
"""Argument name -> how it is spelt. Names, and what is required, are those of the Python functions."""


def annotated(name: str, required: bool, spelling: Spelling | None = None) -> Any:
    """The annotation from which Typer builds the argument `name`."""
    spelt = spelling or SPELLINGS[name]
    about: dict[str, Any] = {"help": ARGUMENTS[name], "metavar": spelt.metavar, "show_default": spelt.type is not bool}
    if spelt.minimum is not None:
        about["min"] = spelt.minimum
    if spelt.type is float:
        about["callback"] = _finite
    info = typer.Option(*spelt.flags, **about) if spelt.flags else typer.Argument(**about)
    plain = required or spelt.type in (bool, list[str])
    return Annotated[spelt.type if plain else spelt.type | None, info]


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors", show_default=False)]
DEBUG = Annotated[bool, typer.Option("--debug", help="show the traceback of an error", show_default=False)]
FORMAT = Annotated[Format, typer.Option("--format", "-f", help="how data is printed on stdout")]

"""What every argument means, told once: `--help` and the docstrings of the Python functions read this table."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

ARGUMENTS: Mapping[str, str] = {
    "study": "a ready study's name, a study file (.yaml), or a stored study; left out, the latest is read, and all for dashboard",
    "task": "a built-in task, or my_task.py:make_task",
    "name": "name of the study in the store; the definition's own when left out",
    "as_": "another name in the store, as when the stored study differs from the definition",
    "trials": "trials of the study in total, whoever runs them",
    "more": "trials to add to those that the stored study has",
    "timeout": "seconds after which no further trial is started",
    "seed": "seed of splits, initial values, data order and sampler",
    "seeds": "how many seeds to run, counted up from the first; figures are their means",
    "epochs": "N, epochs of every trial; when left out those of the study, or of the policy of 'run', else the task's own",
    "workers": "trials at a time: a number, or auto for as many as the machine bears",
    "workers_per_gpu": "trials at a time on one GPU (1): a number, or auto for a short measurement; tiny networks gain",
    "engine": "who runs trials: process, serial, or fake (invented figures, for trying things out)",
    "device": "auto, cpu, cuda or cuda:1",
    "store": "database of the studies, as an SQLAlchemy URL (or PRUNESEARCH_STORE; else prunesearch.db here)",
    "sampler": "who proposes policies: tpe, tpe_multivariate, random, nsga2 or gp",
    "numerics": "how training computes: exact (float32), or fast (bfloat16; a search trains again in exact what it chooses)",
    "data_dir": "folder where data sets lie, or are put (or PRUNESEARCH_DATA)",
    "keep": "whose networks are kept under --artifacts: front, all or none",
    "artifacts": "folder for the networks that are kept; none are without it",
    "stage_budget": "GiB on disk for trained epochs that trials share (2); 0 shares none",
    "dry_run": "rehearse with invented figures in a store that is thrown away; trains nothing",
    "plugin": "Python file with criteria of your own; may be given several times",
    "trial": "choose this trial, by its number",
    "knee": "choose the front's knee: the best compromise",
    "where": "choose by a condition, such as 'accuracy >= dense - 0.01 and params <= 50000'",
    "by": "the measure by which choices are ordered, best first",
    "plot": "also write a figure, to a .html or .png file",
    "policy": "policy file (.yaml or .json)",
    "levels": "fractions that are removed, in [0, 1); 0 is the dense network",
    "granularities": "what is removed: weight, neuron, filter or unit; may be given several times",
    "criteria": "score by which the lowest go (l1); may be given several times",
    "criterion": "score by which the lowest go, such as l1",
    "scopes": "against whom it competes: layer (the default) or global; may be given several times",
    "retrain": "epochs trained after the cut, the last of the N epochs; 0: the cut comes after the last",
    "policies": "policy file whose amount every level replaces, a line of its own; may be given several times",
    "schedules": "compare seven schedules: magnitude_percentage and magnitude_threshold in three functions, rewind_pruning",
    "latency": "measure latency too",
    "axis": "what lies along x: sparsity (parameters removed) or removed (weights or units)",
    "against": "CSV file of published points to draw too: series,level,accuracy and, if not 'removed', axis",
    "sensitivity": "file of 'prunesearch sensitivity --to': start policies and ranges of ratios are made from it",
    "to": "where the result is written",
    "record": "new folder for the weights and masks of every epoch, for 'prunesearch animate'",
    "recording": "folder that 'run --record' wrote; none for a stored trial, which is then run again",
    "what": "what is drawn: network, weights or filters; may be given several times",
    "frame": "one frame in place of all: first, last, or an epoch",
    "fps": "frames per second",
    "width": "width of the picture in pixels, at most 4096",
    "full": "also precision, recall and F1 per class, dense and pruned",
    "force": "overwrite what is there",
    "port": "port to listen on, at 127.0.0.1 only; 0 takes a free one",
    "listener": "Python only: is called with what happens meanwhile",
    "bundle": "folder that 'prunesearch export' or 'run --to' wrote",
}
"""Argument name -> one sentence. The same name means the same everywhere."""


def documented(function: F) -> F:
    """`function` with an `Args:` section made from `ARGUMENTS` at the end of its docstring.

    Raises:
        KeyError: an argument that the table does not tell.
    """
    names = inspect.signature(function).parameters
    lines = "\n".join(f"    {name}: {ARGUMENTS[name]}." for name in names)
    function.__doc__ = f"{textwrap.dedent(inspect.getdoc(function) or '')}\n\nArgs:\n{lines}\n"
    return function

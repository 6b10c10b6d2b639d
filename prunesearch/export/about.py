"""What a bundle's card says, gathered from a study's record or from a run, and how its network is made again.

A bundle travels, so no path that only this machine has is written into it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from prunesearch.criteria import BUILT_IN
from prunesearch.errors import TaskError
from prunesearch.policy import Policy
from prunesearch.results import DenseReference, LayerRow, Measures
from prunesearch.tasks.reference import Reference, parse_reference


@dataclass(frozen=True)
class About:
    """One pruned network and where it comes from.

    Args:
        task: the task's reference; its name where only the process that ran it has it.
        policy: how it was pruned.
        digest: digest of the policy's canonical form.
        seed: seed of splits, initial values and data order.
        measures: its figures.
        own: whether only the process that ran it has the task, whatever its name reads like.
        dense: the dense network, None where it was not measured.
        metric: the name of what `accuracy` holds.
        maximize: whether more of it is better.
        layers: what was kept, group by group.
        notes: what the trial noted.
        device: where it was measured.
        asked_device: the device that was asked for.
        plugins: files with criteria that were given.
        numerics: how it was trained.
        study: the study that found it, None after `run`.
        trial: its number there.
        confirmed: figures over fresh seeds, None where it was not repeated.
        code_version: version of prunesearch.
        environment: versions and machine.
    """

    task: str
    policy: Policy
    digest: str
    seed: int
    measures: Measures
    own: bool = False
    dense: DenseReference | None = None
    metric: str = "accuracy"
    maximize: bool = True
    layers: tuple[LayerRow, ...] = ()
    notes: tuple[str, ...] = ()
    device: str = ""
    asked_device: str = "auto"
    plugins: tuple[str, ...] = ()
    numerics: str = "exact"
    study: str | None = None
    trial: int | None = None
    confirmed: Mapping[str, Any] | None = None
    code_version: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is, in a line."""
        source = f", trial {self.trial} of study {self.study}" if self.study is not None else ""
        return f"{self.reference or self.task}, pruned{source}"

    @property
    def reference(self) -> str | None:
        """The task as others can name it, None where nobody can."""
        found = self._parsed
        return None if found is None else portable(found.source) + self.task.removeprefix(found.source)

    @property
    def files(self) -> tuple[str, ...]:
        """What task and policy need beside the bundle: files, folders or modules, told from one folder."""
        found = self._parsed
        made_of = () if found is None or found.kind == "builtin" else (portable(found.source),)
        return (*made_of, *self._plugins)

    @property
    def missing(self) -> str | None:
        """The criterion whose plug-in was not given, None where none is missing."""
        criterion = self.policy.criterion
        return None if criterion in BUILT_IN or self.plugins else criterion

    def place(self, to: str | Path) -> str:
        """The bundle's path in what is typed where `files` are found; its name where there are none."""
        return portable(str(Path(to))) if self.files else Path(to).name

    def again(self, folder: str) -> str:
        """What trains and prunes it again: a command, or a call in Python where the task has no reference.

        Args:
            folder: the bundle, as `place` tells it.
        """
        how = {"device": (self.asked_device, "auto"), "numerics": (self.numerics, "exact")}
        said = {"seed": str(self.seed)} | {key: value for key, (value, usual) in how.items() if value != usual}
        return self._call(folder, said) if self.reference is None else self._command(folder, said, self.reference)

    def _command(self, folder: str, said: Mapping[str, str], task: str) -> str:
        words = ["prunesearch", "run", f"{folder}/policy.yaml", "--task", task]
        words += [word for key, value in said.items() for word in (f"--{key}", value)]
        return shlex.join([*words, *(word for plugin in self._plugins for word in ("--plugin", plugin))])

    def _call(self, folder: str, said: Mapping[str, str]) -> str:
        words = [f'"{folder}/policy.yaml"', "task=task"]
        words += [f"{key}={value if key == 'seed' else repr(value)}" for key, value in said.items()]
        return f"ps.run({', '.join(words + ([f'plugin={[*self._plugins]}'] if self._plugins else []))})"

    @cached_property
    def _parsed(self) -> Reference | None:
        try:
            return None if self.own else parse_reference(self.task)
        except TaskError:
            return None

    @property
    def _plugins(self) -> tuple[str, ...]:
        """The files with criteria, where the policy may need them."""
        return () if self.policy.criterion in BUILT_IN else tuple(map(portable, self.plugins))


def portable(path: str) -> str:
    """`path` as others can have it: an absolute one told from the current folder, or by its name where it lies elsewhere."""
    full = Path(path).expanduser()
    if not full.is_absolute():
        return path
    near = os.path.relpath(full)
    return (full.name if near.startswith("..") else near) + ("/" if path.endswith("/") else "")

"""What a bundle's card says, gathered from a study's record or from a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prunesearch.policy import Policy
from prunesearch.results import DenseReference, LayerRow, Measures


@dataclass(frozen=True)
class About:
    """One pruned network and where it comes from.

    Args:
        task: the task's reference.
        policy: how it was pruned.
        digest: digest of the policy's canonical form.
        seed: seed of splits, initial values and data order.
        measures: its figures.
        dense: the dense network, None where it was not measured.
        metric: the name of what `accuracy` holds.
        maximize: whether more of it is better.
        layers: what was kept, group by group.
        notes: what the trial noted.
        device: where it was measured.
        asked_device: the device that was asked for.
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
    dense: DenseReference | None = None
    metric: str = "accuracy"
    maximize: bool = True
    layers: tuple[LayerRow, ...] = ()
    notes: tuple[str, ...] = ()
    device: str = ""
    asked_device: str = "auto"
    study: str | None = None
    trial: int | None = None
    confirmed: Mapping[str, Any] | None = None
    code_version: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is, in a line."""
        source = f", trial {self.trial} of study {self.study}" if self.study is not None else ""
        return f"{self.task}, pruned{source}"

    def command(self, folder: str) -> str:
        """The command that trains and prunes it again, in the folder that holds the bundle `folder`."""
        words = ["prunesearch", "run", f"{folder}/policy.yaml", "--task", self.task, "--seed", str(self.seed)]
        return shlex.join(words if self.asked_device == "auto" else [*words, "--device", self.asked_device])

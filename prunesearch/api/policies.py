"""Policies and criteria as users give them: read, made known, and held against the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prunesearch.errors import PolicyError
from prunesearch.fitting import chosen_groups
from prunesearch.policy import Policy
from prunesearch.results import TaskInfo


def read_policy(policy: str | Path | Policy, plugin: Sequence[str]) -> Policy:
    """The policy as given, or from its file; plug-ins first, for it may use their criteria."""
    load_plugins(plugin)
    return policy if isinstance(policy, Policy) else Policy.load(policy)


def load_plugins(files: Sequence[str]) -> None:
    """Make criteria of one's own known. Imports torch where there are any.

    Raises:
        UsageError: a file does not load.
    """
    if files:
        from prunesearch.criteria import load_plugin

        for file in files:
            load_plugin(file)


def check_groups(policy: Policy, info: TaskInfo, task: str) -> None:
    """Refuse a policy that does not fit the network or its start, before anything is trained.

    Args:
        policy: what is asked.
        info: what the task is.
        task: its reference, for what is told; empty where it has none.

    Raises:
        PolicyError: see `chosen_groups`; or the policy wants an accuracy from before its first epoch, and there is none.
    """
    if policy.granularity not in info.granularities:
        kinds = ", ".join(info.granularities)
        raise PolicyError(f"granularity: '{policy.granularity}' is nothing that {info.name} has", f"it has {kinds}")
    chosen_groups(info.groups, policy, task)
    if policy.schedule_type == "rewind_pruning" and policy.epoch_threshold == 0 and not info.weights_given:
        raise PolicyError(
            "epoch_threshold: 0 leaves rewind_pruning no accuracy to come back to, from scratch",
            "let it be at least 1, or give the task trained `weights`",
        )

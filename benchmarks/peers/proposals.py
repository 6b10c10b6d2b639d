"""Policies as parameters of an Optuna trial, written by hand as one does for one's own study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from benchmarks.peers.plan import Policy

Space = Mapping[str, Any]


def suggest(trial: optuna.Trial, space: Space, epochs: int) -> dict[str, Any]:
    """A policy.

    Args:
        trial: asked for one parameter after the other.
        space: ranges, as policies.yaml has them.
        epochs: N; integers are cut to what it leaves.
    """
    policy: dict[str, Any] = {"epochs": epochs}
    for name in ("schedule_type", "granularity", "scope"):
        policy[name] = trial.suggest_categorical(name, space[name])
    policy["threshold"] = trial.suggest_float("threshold", *space["threshold"])
    shape = _rewinding if policy["schedule_type"] == "rewind_pruning" else _planned
    return policy | shape(trial, space, epochs)


def queued(policy: Policy) -> dict[str, Any]:
    """The parameters under which `suggest` gives a policy of the list."""
    known = {k: v for k, v in policy.items() if isinstance(v, str | int | float) and k not in ("epochs", "threshold_max")}
    return {"schedule_type": "magnitude_percentage", "lr_restart": False, **known}


def _rewinding(trial: optuna.Trial, space: Space, epochs: int) -> dict[str, Any]:
    return {
        "threshold_step": trial.suggest_float("threshold_step", *space["threshold_step"]),
        "eps": trial.suggest_float("eps", *space["eps"], log=True),
        "initial_learning_rate": trial.suggest_float("initial_learning_rate", *space["initial_learning_rate"], log=True),
        "epoch_threshold": trial.suggest_int("epoch_threshold", 1, max(1, min(epochs - 1, space["epoch_threshold"][1]))),
        "recovery_epochs": trial.suggest_int("recovery_epochs", *space["recovery_epochs"]),
    }


def _planned(trial: optuna.Trial, space: Space, epochs: int) -> dict[str, Any]:
    function = str(trial.suggest_categorical("function", space["function"]))
    restart = trial.suggest_categorical("lr_restart", space["lr_restart"])
    room = 0 if function == "one_shot_static" else 1
    first = trial.suggest_int("epoch_threshold", 0, min(epochs - room, space["epoch_threshold"][1]))
    policy: dict[str, Any] = {"function": function, "lr_restart": restart, "epoch_threshold": first}
    if function == "gradual":
        policy["ramp"] = trial.suggest_categorical("ramp", space["ramp"])
        policy["converge_over"] = trial.suggest_int("converge_over", 1, min(epochs - first, space["converge_over"][1]))
    if function == "iterative":
        policy["prune_iter"] = trial.suggest_int("prune_iter", 1, min(epochs - first, space["prune_iter"][1]))
    return policy

"""Every pruning hyper-parameter: its meaning, what is valid, and what is searched when nothing is said.

This table is the only place that holds a range or a help text. The policy's validation, the search space,
`prunesearch init`, the JSON schema and docs/policies.md all read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from prunesearch.catalogue import CRITERIA

Number = float | int
Kind = Literal["float", "int", "choice", "bool", "globs", "ratios"]

SCHEDULE_TYPES = ("magnitude_percentage", "magnitude_threshold", "rewind_pruning")
FUNCTIONS = ("one_shot", "one_shot_static", "gradual", "iterative")
GRANULARITIES = ("weight", "neuron", "filter", "unit")
UNIT_GRANULARITIES = ("neuron", "filter", "unit")
SCOPES = ("layer", "global", "ratios")
RECOVERIES = ("keep", "reinit", "rewind_weights")
RAMPS = ("linear", "cubic")


@dataclass(frozen=True)
class Hyperparameter:
    """One field of a policy.

    Args:
        name: the field's name in policies, study files and Optuna trials.
        kind: how it is written down.
        help: one sentence, with units and source where there is one.
        valid: smallest and largest valid value, both included (`None`: unbounded on that side).
        below: a bound that the value must stay strictly under.
        choices: valid words; those of the criteria grow as plug-ins are loaded.
        search: default search range, or the words tried by default.
        search_units: another default range, for unit granularities.
        log: whether the range is searched on a logarithmic scale.
        default: value of a policy that does not say.
    """

    name: str
    kind: Kind
    help: str
    valid: tuple[Number | None, Number | None] = (None, None)
    below: Number | None = None
    choices: Collection[str] = ()
    search: tuple[Number, Number] | tuple[str | bool, ...] | None = None
    search_units: tuple[Number, Number] | None = None
    log: bool = False
    default: object = None


_TABLE = (
    Hyperparameter("epochs", "int", "N, the epochs that the policy was made for; 0 only prunes and measures", (0, None)),
    Hyperparameter(
        "schedule_type",
        "choice",
        "how the amount is said: a fraction, an absolute bound, or the sparsest level that recovers",
        choices=SCHEDULE_TYPES,
        search=SCHEDULE_TYPES,
        default="magnitude_percentage",
    ),
    Hyperparameter(
        "function",
        "choice",
        "when: once and free, once and fixed, along a ramp, or in rounds",
        choices=FUNCTIONS,
        search=FUNCTIONS,
        default="one_shot_static",
    ),
    Hyperparameter(
        "granularity",
        "choice",
        "what is removed: single weights, outputs of Linear, outputs of Conv, or both kinds of outputs",
        choices=GRANULARITIES,
        search=GRANULARITIES,
        default="weight",
    ),
    Hyperparameter(
        "criterion",
        "choice",
        "what is unimportant: the score by which weights or units are ranked, lowest first",
        choices=CRITERIA,
        search=("l1", "l2"),
        default="l1",
    ),
    Hyperparameter(
        "scope",
        "choice",
        "against whom it competes: its own group, all groups, or a searched fraction per group",
        choices=SCOPES,
        search=SCOPES,
        default="layer",
    ),
    Hyperparameter(
        "recovery",
        "choice",
        "what happens to the remaining weights after a cut",
        choices=RECOVERIES,
        search=RECOVERIES,
        default="keep",
    ),
    Hyperparameter("rewind_to", "int", "epoch whose starting weights are restored; 0 = initial values", (0, None), default=0),
    Hyperparameter(
        "lr_restart",
        "bool",
        "whether the learning rate starts anew after a cut",
        search=(False, True),
        default=False,
    ),
    Hyperparameter(
        "ramp",
        "choice",
        "shape of a gradual schedule: linear, or cubic 1 - (1 - x)^3 (Zhu & Gupta 2017)",
        choices=RAMPS,
        search=RAMPS,
        default="cubic",
    ),
    Hyperparameter(
        "threshold",
        "float",
        "T, the fraction removed, of what the scope ranks; under rewind_pruning the first level",
        (0.0, None),
        below=1.0,
        search=(0.3, 0.98),
        default=0.5,
    ),
    Hyperparameter(
        "weight_threshold",
        "float",
        "everything with a score at or below it goes: |w| for weights, the score over its group's mean for units",
        (0.0, None),
        search=(1e-3, 0.3),
        search_units=(0.2, 1.5),
        log=True,
        default=0.05,
    ),
    Hyperparameter(
        "threshold_step",
        "float",
        "how much is added to the level each time it came back (rewind_pruning)",
        (0.001, 0.5),
        search=(0.01, 0.2),
        default=0.05,
    ),
    Hyperparameter(
        "threshold_max",
        "float",
        "the level beyond which rewind_pruning does not go",
        (0.0, None),
        below=1.0,
        default=0.99,
    ),
    Hyperparameter(
        "eps",
        "float",
        "how far below its target accuracy a level may stay and still have come back; 0.01 is one point",
        (0.0, 1.0),
        search=(1e-3, 0.05),
        log=True,
        default=0.01,
    ),
    Hyperparameter(
        "initial_learning_rate",
        "float",
        "the learning rate at which every cut of rewind_pruning restarts",
        (1e-8, 10.0),
        search=(1e-4, 1e-2),
        log=True,
        default=1e-3,
    ),
    Hyperparameter(
        "recovery_epochs",
        "int",
        "epochs over which the learning rate of rewind_pruning runs after each cut",
        (1, None),
        search=(1, 10),
        default=2,
    ),
    Hyperparameter(
        "epoch_threshold", "int", "E, the epoch before which the first cut is made; N = after the last", (0, None), default=0
    ),
    Hyperparameter("converge_over", "int", "C, the epochs over which a gradual schedule reaches its level", (0, None), default=1),
    Hyperparameter("prune_iter", "int", "R, the rounds of an iterative schedule", (1, None), search=(2, 10), default=2),
    Hyperparameter(
        "last_cut",
        "choice",
        "where the rounds of an iterative schedule end: with epochs left to train, or after the last epoch",
        choices=("trained", "at_end"),
        default="trained",
    ),
    Hyperparameter(
        "ratio",
        "ratios",
        "fraction removed per group (scope ratios); keys are group names or globs, `default` stands for the rest",
        (0.0, None),
        below=1.0,
        search=(0.0, 0.95),
    ),
    Hyperparameter("min_units", "int", "weights or units that every group keeps", (1, None), default=1),
    Hyperparameter(
        "round_to", "int", "widths that are left are rounded up to a multiple of this (units only)", (1, None), default=1
    ),
    Hyperparameter("prune_bias", "bool", "whether biases are pruned like weights (granularity weight)", default=False),
    Hyperparameter("prune_output_layer", "bool", "whether the last layer's weights are pruned too", default=False),
    Hyperparameter("spare", "globs", "groups that are never pruned, as names or globs", default=()),
    Hyperparameter("only", "globs", "the only groups that are pruned, as names or globs; empty = all", default=()),
    Hyperparameter(
        "recalibrate_batches", "int", "training batches that renew the norm statistics after a cut", (0, None), default=0
    ),
)

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {h.name: h for h in _TABLE}
"""All of them by name, in the order in which a policy file lists them."""

"""Who proposes policies: Optuna's samplers, built anew for every proposal and with every argument given.

A sampler is seeded by the study's seed, the ticket and how often this ticket was asked before, so that concurrent
drivers differ and a search that was interrupted anywhere asks what it would have asked. Optuna keeps what a sampler has
learnt in the trials, not in the sampler.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, PartialFixedSampler, RandomSampler, TPESampler

STARTUP = 10
"""Trials drawn at random (or given) before TPE and GP model anything; Optuna's own default."""

CANDIDATES = 24
"""Draws among which TPE picks; Optuna's own default."""

POPULATION = 20
"""NSGA-II's generation: with Optuna's default of 50 most studies would end before the second one."""

_ABOUT_CONDITIONS = (
    "models only parameters that every policy has; all others are drawn at random "
    "(21 conditional parameters, 200 trials: hypervolume {measured}, random 0.236, tpe 0.327)"
)
WARNINGS: Mapping[str, str] = {
    "nsga2": "sampler 'nsga2' " + _ABOUT_CONDITIONS.format(measured="0.237"),
    "gp": "sampler 'gp' "
    + _ABOUT_CONDITIONS.format(measured="0.194")
    + "; and it takes about 1 s per proposal from 100 trials on",
}
"""What a person should know before choosing a sampler; those not listed have no such trap."""


def sampler_seed(seed: int, ticket: int, attempt: int) -> int:
    """32 bits that belong to one proposal of one study."""
    digest = hashlib.sha256(f"{seed}/{ticket}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def make_sampler(kind: str, seed: int) -> BaseSampler:
    """A fresh sampler.

    Args:
        kind: `tpe`, `tpe_multivariate`, `random`, `nsga2` or `gp`.
        seed: see `sampler_seed`.

    Raises:
        KeyError: no such kind; `StudySpec` has refused it before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match kind:
            case "tpe":
                return _tpe(seed, multivariate=False)
            case "tpe_multivariate":
                return _tpe(seed, multivariate=True)
            case "random":
                return RandomSampler(seed=seed)
            case "nsga2":
                return NSGAIISampler(
                    population_size=POPULATION,
                    mutation=None,
                    mutation_prob=None,
                    crossover=None,
                    crossover_prob=0.9,
                    swapping_prob=0.5,
                    seed=seed,
                )
            case "gp":
                return GPSampler(
                    seed=seed,
                    independent_sampler=RandomSampler(seed=seed),
                    n_startup_trials=STARTUP,
                    deterministic_objective=False,
                    warn_independent_sampling=False,
                )
    raise KeyError(kind)


def exactly(params: Mapping[str, Any], sampler: BaseSampler) -> BaseSampler:
    """A sampler that proposes exactly these parameters, and lets `sampler` take note of the trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(fixed_params=dict(params), base_sampler=sampler)


def _tpe(seed: int, *, multivariate: bool) -> TPESampler:
    """TPE. In its multivariate form `group` models each set of parameters that occur together."""
    return TPESampler(
        n_startup_trials=STARTUP,
        n_ei_candidates=CANDIDATES,
        seed=seed,
        multivariate=multivariate,
        group=multivariate,
        constant_liar=True,
    )

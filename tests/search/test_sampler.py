"""Samplers: every kind proposes, equal seeds propose equally, given parameters are proposed exactly."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from prunesearch.search.sampler import WARNINGS, exactly, make_sampler, sampler_seed
from prunesearch.search.space import SearchSpace
from prunesearch.spec import SAMPLERS
from tests.search.parts import info, spec

SPACE = SearchSpace.of(spec(trials=200), info())


def told(kind: str, seed: int, count: int = 24) -> list[dict[str, Any]]:
    """Parameters of trials, each asked with a fresh sampler, told values of three objectives."""
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    out = []
    for ticket in range(count):
        study.sampler = make_sampler(kind, sampler_seed(seed, ticket, 0))
        trial = study.ask()
        policy = SPACE.suggest(trial)
        out.append(trial.params)
        study.tell(trial, [policy.threshold or 0.0, float(policy.epoch_threshold), float(len(trial.params))])
    return out


@pytest.mark.parametrize("kind", SAMPLERS)
def test_fresh_samplers_repeat_themselves_from_what_is_in_the_study(kind: str) -> None:
    count = 12 if kind == "gp" else 24
    first = told(kind, 3, count)
    assert first == told(kind, 3, count)
    assert first != told(kind, 4, count)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_given_parameters_are_proposed_exactly(kind: str) -> None:
    wanted = told("random", 5, 6)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for index, params in enumerate(wanted):
        study.sampler = exactly(params, make_sampler(kind, index))
        trial = study.ask()
        SPACE.suggest(trial)
        assert trial.params == params
        study.tell(trial, [1.0, float(index)])


def test_seeds_differ_by_study_ticket_and_attempt() -> None:
    seeds = {sampler_seed(s, t, a) for s in range(5) for t in range(20) for a in range(5)}
    assert len(seeds) == 500
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_samplers_with_a_trap_are_told_of() -> None:
    assert set(WARNINGS) == {"nsga2", "gp"}
    assert all("drawn at random" in text for text in WARNINGS.values())
    with pytest.raises(KeyError):
        make_sampler("cmaes", 0)

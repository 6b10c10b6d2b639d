"""Optuna's side: whole trials in one transaction, told results, heartbeats."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from prunesearch.errors import StoreError, StudyError
from prunesearch.front import Direction
from prunesearch.search.memory import Memory, study_exists
from prunesearch.search.mirror import Mirror
from prunesearch.search.sampler import make_sampler
from prunesearch.search.space import SearchSpace
from prunesearch.store.optuna_storage import close_storage, optuna_storage
from tests.search.conftest import Bench
from tests.search.parts import info, spec

WAYS: dict[str, Direction] = {"accuracy": "maximize", "params": "minimize"}
SPACE = SearchSpace.of(spec(trials=300), info())


@pytest.fixture
def storage(bench: Bench) -> Iterator[RDBStorage]:
    found = optuna_storage(bench.store.url)
    yield found
    close_storage(found)


def trials(storage: RDBStorage) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=storage).get_trials(deepcopy=True)


def memory(storage: RDBStorage) -> Memory:
    return Memory(storage, "s", WAYS)


def test_a_trial_enters_whole(storage: RDBStorage) -> None:
    found = memory(storage)
    asked = [found.ask(SPACE, make_sampler("tpe", seed)) for seed in range(4)]
    assert [a.number for a in asked] == [0, 1, 2, 3]
    for one, trial in zip(asked, trials(storage), strict=True):
        assert trial.state == TrialState.RUNNING
        assert SPACE.params(one.policy) == trial.params
    assert found.unfinished() == (0, 1, 2, 3)


def test_a_new_driver_proposes_what_the_old_one_would_have(storage: RDBStorage) -> None:
    one = memory(storage)
    for ticket in range(14):
        one.tell(one.ask(SPACE, make_sampler("tpe", ticket)).number, [ticket % 5, ticket % 3], {}, RandomSampler(seed=0))
    flying = one.ask(SPACE, make_sampler("tpe", 99))
    proposed = []
    for driver in (one, memory(storage), one, memory(storage)):
        asked = driver.ask(SPACE, make_sampler("tpe", 20))
        proposed.append(asked.policy)
        driver.fail(asked.number)
    assert proposed == [proposed[0]] * 4
    assert proposed[0] != flying.policy


def test_told_results_and_constraints(storage: RDBStorage) -> None:
    found = memory(storage)
    numbers = [found.ask(SPACE, RandomSampler(seed=i)).number for i in range(4)]
    assert found.tell(numbers[0], [0.9, 100], {"params": -5.0, "accuracy": 0.25}, RandomSampler(seed=0))
    assert found.tell(numbers[0], [0.1, 1], {"params": 9.0}, RandomSampler(seed=0))  # again, by a driver that did not know
    assert not found.tell(numbers[1], [float("inf"), 100], {}, RandomSampler(seed=0))
    assert not found.tell(numbers[2], [0.9, None], {}, RandomSampler(seed=0))
    found.fail(numbers[3])
    found.fail(numbers[3])
    told = trials(storage)
    assert told[0].values == [0.9, 100.0]
    assert [t.state for t in told] == [TrialState.COMPLETE, *[TrialState.FAIL] * 3]
    assert found.failed() == (1, 2, 3)


def test_a_trial_that_somebody_has_ended_stays_ended(storage: RDBStorage) -> None:
    found, other = memory(storage), memory(storage)
    number = found.ask(SPACE, RandomSampler(seed=0)).number
    other.fail(number)
    found.note_duplicate(number, of=0, ticket=5)
    assert found.tell(number, [0.9, 100], {"params": -5.0}, RandomSampler(seed=0))
    (told,) = trials(storage)
    assert (told.state, told.values, told.constraints) == (TrialState.FAIL, None, {})
    assert found.duplicates(5) == 0


def test_duplicates_are_counted_by_ticket(storage: RDBStorage) -> None:
    found = memory(storage)
    for ticket in (5, 5, 6):
        found.note_duplicate(found.ask(SPACE, RandomSampler(seed=ticket)).number, of=0, ticket=ticket)
    assert [found.duplicates(ticket) for ticket in (4, 5, 6)] == [0, 2, 1]
    assert memory(storage).duplicates(5) == 2


def test_other_objectives_are_refused(storage: RDBStorage) -> None:
    memory(storage)
    with pytest.raises(StudyError, match="has other objectives"):
        Memory(storage, "s", {"accuracy": "maximize"})


def test_metric_names_and_existence(storage: RDBStorage) -> None:
    assert not study_exists(storage, "s", WAYS)
    found = memory(storage)
    assert not study_exists(storage, "s", WAYS)  # without trials it is nobody's
    assert study_exists(storage, "s", {"accuracy": "maximize"})
    found.ask(SPACE, RandomSampler(seed=0))
    assert study_exists(storage, "s", WAYS)
    assert optuna.load_study(study_name="s", storage=storage).metric_names == list(WAYS)


def test_a_broken_database_is_a_store_error(storage: RDBStorage, bench: Bench) -> None:
    found = memory(storage)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE trial_heartbeats")
    with pytest.raises(StoreError, match="no such table: trial_heartbeats"):
        found.ask(SPACE, RandomSampler(seed=0))


@pytest.mark.parametrize("kind", ["tpe", "tpe_multivariate", "nsga2"])
def test_the_mirror_proposes_what_optuna_itself_would(kind: str) -> None:
    study = optuna.create_study(directions=list(WAYS.values()))
    mirror = Mirror(["maximize", "minimize"])
    for ticket in range(45):  # two generations of NSGA-II, and more than TPE's start
        mirror.learn(study.get_trials(deepcopy=False))
        found, policy = mirror.propose(SPACE, make_sampler(kind, ticket), [])
        study.sampler = make_sampler(kind, ticket)
        asked = study.ask()
        assert SPACE.suggest(asked) == policy
        assert asked.params == found.params
        study.tell(asked, [float(policy.epoch_threshold), policy.threshold or 0.0])


def test_tpe_takes_trials_in_flight_for_bad_ones() -> None:
    study = optuna.create_study(directions=list(WAYS.values()), sampler=RandomSampler(seed=1))
    for number in range(20):
        policy = SPACE.suggest(study.ask())
        study.tell(number, [float(policy.epoch_threshold), policy.threshold or 0.0])
    mirror = Mirror(["maximize", "minimize"])
    mirror.learn(study.get_trials(deepcopy=False))
    differ = 0
    for seed in range(10):
        alone, _ = mirror.propose(SPACE, make_sampler("tpe", seed), [])
        beside, _ = mirror.propose(SPACE, make_sampler("tpe", seed), [alone])
        differ += alone.params != beside.params
    assert differ > 5


def test_trials_in_flight_are_lent_to_one_proposal_only() -> None:
    mirror = Mirror(["maximize", "minimize"])
    first, _ = mirror.propose(SPACE, RandomSampler(seed=1), [])
    assert first.state == TrialState.RUNNING
    again, _ = mirror.propose(SPACE, RandomSampler(seed=1), [first])
    assert again.params == first.params
    assert {t.state for t in mirror._study.trials} == {TrialState.FAIL}

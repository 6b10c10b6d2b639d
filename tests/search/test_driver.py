"""Whole searches over a real store: counts, duplicates, failures, constraints, fronts, folders, resuming."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import optuna
import pytest
from optuna.trial import TrialState

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.errors import EnvironmentFailure, InfeasibleError, StudyError, TaskError
from prunesearch.front import Front, directions_of
from prunesearch.results import Job, Outcome, Result, TaskInfo
from prunesearch.search import events
from prunesearch.search.folders import MARK
from prunesearch.spec import SAMPLERS
from prunesearch.store import ENDED, Store
from prunesearch.store.fronts import row_of
from prunesearch.store.optuna_storage import close_storage, optuna_storage
from tests.search.conftest import Bench
from tests.search.parts import spec

WORDS = {"granularity": ["weight", "neuron"], "criterion": "l1"}


def optuna_trials(bench: Bench, name: str = "s") -> list[optuna.trial.FrozenTrial]:
    storage = optuna_storage(bench.store.url)
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=True)
    finally:
        close_storage(storage)


class Wrapped:
    """A fake engine whose results pass through `change`."""

    def __init__(self, change: Any, **fake: Any) -> None:
        self._fake = FakeEngine(EngineSpec("digits-mlp", workers=1), **fake)
        self._change = change
        self.jobs: list[Job] = []

    slots = 1

    def describe(self) -> Any:
        return self._fake.describe()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._fake.submit(job)

    def next(self, timeout: float | None = None) -> Outcome | None:
        outcome = self._fake.next(timeout)
        if outcome is None or outcome.result is None:
            return outcome
        return replace(outcome, result=self._change(outcome.job, outcome.result))

    def close(self) -> None:
        self._fake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize(("sampler", "workers"), [*((s, 3) for s in SAMPLERS), ("tpe", 1)])
def test_a_search_runs_as_many_trials_as_it_shall(bench: Bench, sampler: str, workers: int) -> None:
    outcome = bench.search(spec(trials=12, sampler=sampler, workers=workers))
    assert (outcome.done, outcome.total, outcome.stopped) == (12, 12, None)
    records = bench.store.trials("s")
    assert [t.state for t in bench.store.tickets("s")] == ["done"] * 12
    assert sorted(r.ticket for r in records if r.ticket is not None) == list(range(12))
    assert [r.number for r in records] == [t.number for t in optuna_trials(bench) if "duplicate" not in t.user_attrs]
    assert len(bench.told(events.TrialStarted)) == len(bench.told(events.TrialFinished)) == 12


def test_the_front_in_the_store_is_that_of_all_trials(bench: Bench) -> None:
    outcome = bench.search(spec(trials=20, constraints={"accuracy": ">= dense - 0.2"}))
    rows = [row_of(r) for r in bench.store.trials("s", *ENDED) if r.measures is not None]
    dense = bench.store.study("s").dense
    assert dense is not None
    front = Front.of(rows, directions_of(("accuracy", "params", "latency_ms")), dense=dense.measures)
    history = bench.store.front_history("s")
    assert history[-1].members == front.trials == outcome.front.trials
    assert history[-1].hypervolume == pytest.approx(front.hypervolume())
    volumes = [record.hypervolume or 0.0 for record in history]
    assert volumes == sorted(volumes)
    assert [e.members for e in bench.told(events.FrontChanged)] == [record.members for record in history]


def test_start_policies_come_first_and_in_order(bench: Bench) -> None:
    own = [{"threshold": t, "granularity": "weight", "epoch_threshold": 1} for t in (0.4, 0.6, 0.8)]
    bench.search(spec(trials=6, start=own))
    assert [p.threshold for p in list(bench.asked().values())[:3]] == [0.4, 0.6, 0.8]
    bench.search(spec(trials=8, start=[*own, {"threshold": 0.9, "granularity": "weight", "epoch_threshold": 2}]))
    assert bench.asked()[6].threshold == 0.9


def test_equal_policies_are_run_once(bench: Bench) -> None:
    space = {
        "granularity": "weight",
        "schedule_type": "magnitude_percentage",
        "function": "one_shot_static",
        "criterion": "l1",
        "scope": "layer",
        "recovery": "keep",
        "lr_restart": False,
        "threshold": {"choices": [0.5, 0.6, 0.7, 0.8]},
        "epoch_threshold": {"choices": [1, 2]},
    }
    outcome = bench.search(spec(space=space, trials=12))
    assert (outcome.stopped, outcome.done, outcome.total) == ("exhausted", 8, 12)
    assert len({r.digest for r in bench.store.trials("s")}) == 8
    duplicates = bench.told(events.Duplicate)
    assert len(duplicates) >= 40
    values = {t.number: t.values for t in optuna_trials(bench)}
    assert all(values[d.number] == values[d.of] for d in duplicates)
    assert Counter(t.state for t in bench.store.tickets("s")) == {"done": 8, "open": 1}


def test_failing_trials_are_recorded_and_the_search_goes_on(bench: Bench) -> None:
    outcome = bench.search(spec(trials=8), faults={1: ["fail"], 3: ["nan"]})
    records = {r.number: r for r in bench.store.trials("s")}
    assert outcome.done == 8
    assert [n for n, r in records.items() if r.state == "failed"] == [1, 3]
    assert records[1].reason == "RuntimeError: simulated failure"
    assert records[1].trace
    assert {t.number for t in optuna_trials(bench) if t.state == TrialState.FAIL} == {1, 3}
    assert [e.number for e in bench.told(events.TrialFailed)] == [1, 3]


def test_a_trial_survives_one_death_of_its_worker_and_not_two(bench: Bench) -> None:
    bench.search(spec(trials=6), faults={1: ["lost"], 3: ["lost", "lost"]})
    states = {r.number: r.state for r in bench.store.trials("s")}
    assert states[1] in ("complete", "infeasible")
    assert states[3] == "failed"
    assert len(states) == 6
    again = [e.number for e in bench.told(events.TrialStarted) if e.again]
    assert again == [1, 3]


@pytest.mark.parametrize("fault", ["fail", "nan", "lost"])
def test_when_all_fail_the_commonest_reason_is_told(bench: Bench, fault: str) -> None:
    with pytest.raises(EnvironmentFailure, match=r"all 5 trials failed; most often \(5\): ") as caught:
        bench.search(spec(trials=5), faults={n: [fault, fault] for n in range(5)})
    assert caught.value.exit_code == 6
    assert [t.state for t in bench.store.tickets("s")] == ["done"] * 5


def test_when_nothing_is_feasible_it_says_what_was_broken(bench: Bench) -> None:
    with pytest.raises(InfeasibleError, match=r"none of 5 trials is feasible; most often \(5\): not params <= 5") as caught:
        bench.search(spec(trials=5, constraints={"params": "<= 5"}))
    assert caught.value.exit_code == 5
    with pytest.raises(InfeasibleError):
        bench.search(spec(trials=5, constraints={"params": "<= 5"}))  # and again, without running anything


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_figures_that_are_not_finite_never_reach_the_sampler(bench: Bench, bad: float) -> None:
    def spoil(job: Job, result: Result) -> Result:
        if job.number != 2 or result.measures is None:
            return result
        return replace(result, measures=replace(result.measures, accuracy=bad))

    bench.search(spec(trials=5), engine=Wrapped(spoil))
    assert bench.store.trial("s", 2).state == "failed"
    assert {t.number: t.state for t in optuna_trials(bench)}[2] == TrialState.FAIL


def test_folders_of_networks_that_left_the_front_are_removed(bench: Bench, tmp_path: Path) -> None:
    def kept(job: Job, result: Result) -> Result:
        if job.keep_to:
            Path(job.keep_to).mkdir(parents=True)
            (Path(job.keep_to) / "model.safetensors").write_bytes(b"x")
        return replace(result, kept_in=job.keep_to)

    (tmp_path / "kept" / "s").mkdir(parents=True)
    (tmp_path / "kept" / "s" / "mine.txt").write_text("not a trial")
    outcome = bench.search(spec(trials=15), engine=Wrapped(kept), artifacts=tmp_path / "kept")
    names = {path.name for path in (tmp_path / "kept" / "s").iterdir()}
    assert names == {"mine.txt", MARK, *(f"trial-{n:05d}" for n in outcome.front.trials)}
    for keep, count in (("all", 4), ("none", 0)):
        bench.search(spec(name=keep, trials=4), engine=Wrapped(kept), keep=keep, artifacts=tmp_path / "kept")
        assert len(list((tmp_path / "kept" / keep).glob("trial-*"))) == count


def test_more_adds_trials_and_a_finished_study_needs_no_engine(bench: Bench) -> None:
    bench.search(spec(trials=4))
    assert bench.search(spec(trials=4), engine=FakeEngine(EngineSpec("digits-mlp"), error=TaskError("gone"))).done == 4
    assert bench.search(spec(trials=4), more=3).done == 7
    assert bench.search(spec(trials=7)).done == 7
    assert bench.store.study("s").spec["trials"] == 7


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"space": {"threshold": [0.3, 0.9]}}, r"space.threshold: was not given, is now \[0.3, 0.9\]"),
        ({"seed": 1}, "seed: was 0, is now 1"),
        ({"epochs": 7}, "epochs: was 20, is now 7"),
        ({"objectives": ["accuracy", "params"]}, "objectives: was accuracy, params, latency_ms, is now accuracy, params"),
        ({"constraints": {"params": "<= 5000"}}, "constraints.params: was not given, is now <= 5000"),
        ({"sampler": "random"}, "sampler: was tpe, is now random"),
        ({"latency": {"batch_size": 8}}, "latency.batch_size: was 1, is now 8"),
    ],
)
def test_an_edited_study_is_refused_with_the_difference(bench: Bench, change: dict[str, Any], told: str) -> None:
    bench.search(spec(trials=3))
    before = bench.store.study("s")
    with pytest.raises(StudyError, match=told) as caught:
        bench.search(spec(trials=5, **change))
    assert "--as NEW" in str(caught.value.hint)
    assert bench.store.study("s") == before
    assert len(bench.store.trials("s")) == 3


def test_what_may_change_may_change(bench: Bench) -> None:
    bench.search(spec(trials=3))
    changed = spec(trials=6, timeout=100, workers=2, engine="serial", start=[{"threshold": 0.5, "epoch_threshold": 2}])
    assert bench.search(changed).done == 6


def test_another_task_under_the_same_name_is_refused(bench: Bench) -> None:
    bench.search(spec(trials=3))
    other = FakeEngine(EngineSpec("digits-mlp", workers=1))
    changed = FakeEngine(EngineSpec("digits-mlp"), info=replace(other.describe(), digest="other"))
    with pytest.raises(StudyError, match="was made for another task"):
        bench.search(spec(trials=5), engine=changed)


def test_a_bad_definition_leaves_the_store_as_it_was(bench: Bench) -> None:
    for bad in (spec(space={"granularity": "filter"}), spec(start=[{"threshold": 0.999}]), spec(space={"ratio": {"fc9": 0.5}})):
        with pytest.raises(StudyError):
            bench.search(bad)
    assert bench.store.studies() == []


def test_optunas_own_study_of_that_name_is_left_alone(bench: Bench) -> None:
    storage = optuna_storage(bench.store.url)
    optuna.create_study(study_name="s", storage=storage).add_trial(optuna.trial.create_trial(value=1.0))
    close_storage(storage)
    with pytest.raises(StudyError, match="prunesearch did not make"):
        bench.search(spec(trials=3))
    assert bench.store.studies() == []


def test_a_dense_network_that_cannot_be_trained_ends_the_search(bench: Bench) -> None:
    with pytest.raises(TaskError, match="the dense network could not be trained: RuntimeError: simulated failure"):
        bench.search(spec(trials=3), faults={-1: ["fail"]})
    assert bench.search(spec(trials=3)).done == 3  # the next call tries again


def test_a_task_that_could_not_be_trained_may_come_back_mended(bench: Bench) -> None:
    with pytest.raises(TaskError):
        bench.search(spec(trials=3, epochs=9), faults={-1: ["fail"]})
    assert bench.search(spec(task="digits-cnn", trials=3, epochs=8, objectives=["accuracy", "bytes"])).done == 3
    assert bench.store.study("s").spec["epochs"] == 8
    assert {len(t.values) for t in optuna_trials(bench)} == {2}
    with pytest.raises(StudyError, match="another definition"):
        bench.search(spec(task="digits-cnn", trials=3, epochs=9))


def test_the_time_is_over(bench: Bench) -> None:
    slow = FakeEngine(EngineSpec("digits-mlp", workers=2), seconds=0.2)
    outcome = bench.search(spec(trials=500, timeout=4.0), engine=slow)
    assert outcome.stopped == "timeout"
    assert outcome.done < 500
    tickets = bench.store.tickets("s")
    assert {t.state for t in tickets} <= {"done", "open"}  # what had begun was let end, or never begun and given back
    assert sum(t.state == "done" for t in tickets) == outcome.done == len(bench.store.trials("s"))


@pytest.mark.parametrize("before", [0, 1])
def test_several_drivers_share_a_study_and_never_run_more_than_its_trials(bench: Bench, tmp_path: Path, before: int) -> None:
    if before:
        bench.search(spec(trials=before))
    failures: list[BaseException] = []
    begun = threading.Barrier(3)

    class Together(FakeEngine):
        def describe(self) -> TaskInfo:
            begun.wait()  # all drivers have looked for the study by now
            return super().describe()

    def drive() -> None:
        try:
            with Store.open(bench.store.url, write=True) as store:
                Bench(store, tmp_path).search(spec(trials=20), engine=Together(EngineSpec("digits-mlp", workers=2)))
        except BaseException as error:  # noqa: BLE001 - told by the test's thread
            failures.append(error)

    threads = [threading.Thread(target=drive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    records = bench.store.trials("s")
    assert sorted(r.ticket for r in records if r.ticket is not None) == list(range(20))
    assert {r.state for r in records} <= {"complete", "infeasible"}
    directions = directions_of(("accuracy", "params", "latency_ms"))
    front = Front.of([row_of(r) for r in records], directions)
    assert bench.store.front_history("s")[-1].members == front.trials


def test_a_front_is_never_told_without_what_another_driver_has_added(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Store.record_front
    begun: list[str] = []

    def late(self: Store, study: str, *given: Any, **named: Any) -> bool:
        if not begun:
            begun.append(study)
            bench.search(spec(trials=20))
        return real(self, study, *given, **named)

    monkeypatch.setattr(Store, "record_front", late)
    bench.search(spec(trials=4))
    records = bench.store.trials("s")
    assert len(records) == 20
    front = Front.of([row_of(r) for r in records if r.feasible], directions_of(("accuracy", "params", "latency_ms")))
    assert bench.store.front_history("s")[-1].members == front.trials


def test_where_the_time_went_is_recorded(bench: Bench) -> None:
    outcome = bench.search(spec(trials=5))
    assert {"ask", "store", "wait"} <= set(outcome.spent)
    storage = optuna_storage(bench.store.url)
    (run,) = optuna.load_study(study_name="s", storage=storage).user_attrs["runs"]
    close_storage(storage)
    assert run["spent"].keys() == outcome.spent.keys()
    assert 0 < run["seconds"] <= outcome.seconds

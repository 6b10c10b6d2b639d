"""Paired timing against a made-up clock, where the truth is known."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

import pytest

from prunesearch.measure.timing import MIN_ROUNDS, PATIENCE, Call, Effort, paired


class World:
    """A machine whose clock only moves when something runs on it."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self.slowness: Callable[[float], float] = lambda now: 1.0
        self.calls = {"one": 0, "other": 0}

    def clock(self) -> float:
        return self.now

    def call(self, name: str, seconds: float) -> Call:
        def run(times: int) -> None:
            for _ in range(times):
                self.calls[name] += 1
                self.now += seconds * self.slowness(self.now)

        return run


def test_on_a_quiet_machine_the_ratio_is_exact() -> None:
    world = World()
    found = paired(world.call("one", 1e-4), world.call("other", 2e-4), Effort(rounds=7), world.clock, world.clock)
    assert found.ratio == pytest.approx(0.5) and found.ratio_iqr == pytest.approx(0, abs=1e-9)
    assert found.one == pytest.approx(1e-4) and found.other == pytest.approx(2e-4)
    assert found.rounds == 7


def test_a_machine_that_becomes_slow_slows_both() -> None:
    world = World()
    world.slowness = lambda now: 1.0 + min(2.0, 40 * now)
    found = paired(world.call("one", 1e-4), world.call("other", 2e-4), Effort(rounds=15), world.clock, world.clock)
    assert found.ratio == pytest.approx(0.5, rel=0.02)


def test_bursts_of_a_neighbour_do_not_move_the_ratio() -> None:
    world = World()
    world.slowness = lambda now: 10.0 if world.random.random() < 0.2 else 1.0 + 0.05 * world.random.random()
    found = paired(world.call("one", 1e-4), world.call("other", 2e-4), Effort(rounds=15), world.clock, world.clock)
    assert found.ratio == pytest.approx(0.5, rel=0.03)
    assert found.one == pytest.approx(1e-4, rel=0.06)


def test_who_comes_second_has_no_disadvantage() -> None:
    world = World()
    world.slowness = lambda now: 1.5 if sum(world.calls.values()) % 2 == 0 else 1.0
    effort = Effort(sample=0.0)  # one call per sample
    found = paired(world.call("one", 1e-4), world.call("other", 1e-4), effort, world.clock, world.clock)
    assert found.ratio == pytest.approx(1.0, rel=0.01)


def test_rounds_that_went_wrong_for_one_of_the_two_do_not_count() -> None:
    world = World()
    quiet = world.call("one", 1e-4)

    def unlucky(times: int) -> None:
        quiet(times)
        if 300 < world.calls["one"] < 400:
            world.now += 1e-3 * times

    found = paired(unlucky, world.call("other", 2e-4), Effort(rounds=15), world.clock, world.clock)
    assert found.calls > 400
    assert found.ratio == pytest.approx(0.5, rel=0.01)


def test_rounds_go_on_while_they_disagree_and_end() -> None:
    world = World()
    world.slowness = lambda now: 1.0 + 9.0 * world.random.random()
    found = paired(world.call("one", 1e-4), world.call("other", 2e-4), Effort(rounds=8, seconds=0), world.clock, world.clock)
    assert found.ratio_iqr > 0.1
    assert found.rounds == 8 * PATIENCE


def test_the_limit_ends_it_after_a_few_rounds() -> None:
    world = World()
    found = paired(world.call("one", 1.0), world.call("other", 2.0), Effort(rounds=50, limit=0.0), world.clock, world.clock)
    assert found.rounds == found.calls == MIN_ROUNDS
    assert world.calls["one"] < 2 * MIN_ROUNDS


def test_a_clock_that_stands_still_is_borne() -> None:
    found = paired(lambda n: None, lambda n: None, Effort(rounds=5), lambda: 0.0)
    assert found.ratio == 1.0


def test_the_garbage_collector_comes_back() -> None:
    def broken(times: int) -> None:
        assert not gc.isenabled()
        raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel"):
        paired(broken, broken, Effort())
    assert gc.isenabled()

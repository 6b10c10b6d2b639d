"""Where a search stands, from its events alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunesearch.front import Front, FrontRow
from prunesearch.policy import Policy
from prunesearch.report.progress import News, Progress, line_of
from prunesearch.results import DenseReference, LatencySpec, Measures, Result, TaskInfo
from prunesearch.search.events import (
    DenseDone,
    DenseStarted,
    Duplicate,
    FrontChanged,
    SearchEnded,
    SearchStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    Warned,
)

INFO = TaskInfo("digits-mlp", "d", 4, "accuracy", "maximize", (), False, 1000, 1000, (8, 2, 2), 10, (64,), "cpu")
POLICY = Policy(epochs=4, threshold=0.5)
WORDS = "50 % of weights, per layer l1, one shot at epoch 0"
STARTED = SearchStarted("s", 6, 2, True, 2, {"accuracy": "maximize", "params": "minimize"}, INFO, 9)


def measures(accuracy: float, params: int) -> Measures:
    return Measures(accuracy, params, params, params, params, 1 - params / 1000, 1.0, latency_ms=0.5)


def dense() -> DenseDone:
    return DenseDone(DenseReference(measures(0.9, 1000), "s", LatencySpec()), True, 3.0)


def finished(number: int, accuracy: float, params: int, done: int, *, feasible: bool = True, trained: int = 4) -> TrialFinished:
    reason = None if feasible else "too bad"
    result = Result("complete" if feasible else "infeasible", measures(accuracy, params), reason=reason, epochs_trained=trained)
    return TrialFinished(number, POLICY, result, feasible, {}, done, 6)


def after(*news: News, every: float = 1.0) -> Progress:
    state = Progress()
    for i, one in enumerate(news):
        state = state.after(one, i * every)
    return state


def test_a_search_is_counted() -> None:
    state = after(
        STARTED,
        dense(),
        TrialStarted(2, 2, POLICY),
        TrialStarted(3, 3, POLICY),
        finished(2, 0.895, 200, 3),
        FrontChanged(2, (2,), 0.4),
        TrialFailed(3, POLICY, "nan", 4, 6),
        TrialStarted(4, 4, POLICY),
    )
    assert (state.done, state.total, state.before, state.running) == (4, 6, 2, frozenset({4}))
    assert (state.failed, state.infeasible, state.front, state.hypervolume) == (1, 0, (2,), 0.4)
    assert (state.best, state.smallest) == (0.895, 200)


def test_infeasible_trials_are_counted_and_not_known() -> None:
    state = after(STARTED, dense(), finished(2, 0.99, 1, 3, feasible=False))
    assert (state.infeasible, state.known) == (1, {})


def test_time_left_follows_the_pace_of_this_call() -> None:
    state = after(STARTED, dense(), TrialStarted(2, 2, POLICY), finished(2, 0.9, 10, 3), TrialStarted(3, 3, POLICY))
    assert state.left(12.0) == pytest.approx((12.0 - 2.0) / 1 * 3)
    assert after(STARTED).left(5.0) is None


def test_epochs_that_were_not_trained_are_saved() -> None:
    assert after(STARTED, finished(2, 0.9, 10, 3, trained=1), finished(3, 0.9, 10, 4)).saved == 3


def test_a_resumed_study_knows_its_front() -> None:
    row = FrontRow(1, measures(0.93, 400), POLICY)
    known = Front((row,), {"accuracy": "maximize"}, measures(0.9, 1000), "s", recorded=0.3)
    state = after(known, STARTED, dense())
    assert (state.best, state.smallest, state.front, state.hypervolume) == (0.93, 400, (1,), 0.3)


def test_for_a_loss_less_is_better_be_it_an_objective_or_not() -> None:
    lower = replace(STARTED, objectives={"params": "minimize"}, info=replace(INFO, direction="minimize"))
    state = after(lower, dense(), finished(2, 0.2, 50, 3), finished(3, 0.95, 10, 4), FrontChanged(3, (2, 3), 0.1))
    assert (state.best, state.smallest) == (0.2, 50)
    farther = state.after(finished(4, 0.9095, 20, 5), 9.0).after(FrontChanged(4, (2, 3, 4), 0.1), 9.0)
    assert farther.smallest == 50  # 1.06 % worse than dense's 0.9


def test_figures_leave_out_what_is_not_there_yet() -> None:
    assert after(STARTED).figures() == {"running": "0", "failed": "0", "infeasible": "0"}
    full = after(STARTED, dense(), finished(2, 0.895, 200, 3, trained=3), FrontChanged(2, (2,), 0.41234)).figures()
    assert full == {
        "running": "0",
        "failed": "0",
        "infeasible": "0",
        "epochs saved": "1",
        "front": "1",
        "best": "0.8950 (dense 0.9000)",
        "smallest within a point": "200 (5.00x fewer)",
        "hypervolume": "0.4123",
    }


LINES: list[tuple[News, str | None]] = [
    (STARTED, "s goes on with 2 of 6 trials, 2 at a time, on cpu"),
    (replace(STARTED, resumed=False, done=0), "s starts: 6 trials, 2 at a time, on cpu"),
    (DenseStarted(), "training the dense network"),
    (dense(), "dense: 0.9000, 1,000 parameters, trained in 3.0 s"),
    (
        finished(2, 0.895, 200, 3),
        f"[3/6] trial 2: 0.8950, 200 parameters (80 % gone), 0.5000 ms: {WORDS}",
    ),
    (
        finished(2, 0.895, 200, 3, feasible=False),
        f"[3/6] trial 2: 0.8950, 200 parameters (80 % gone), 0.5000 ms, not feasible (too bad): {WORDS}",
    ),
    (TrialFailed(3, POLICY, "the loss is nan", 3, 6), "[3/6] trial 3 failed: the loss is nan"),
    (FrontChanged(2, (1, 2), 0.25), "[2/6] front: 2, hypervolume 0.2500"),
    (Warned("slow disk", "move it"), "warning: slow disk (move it)"),
    (Duplicate(4, 2, 4), None),
    (TrialStarted(4, 4, POLICY), None),
    (SearchEnded("s", 6, 6, None, 9.0, 0.1), None),
]


@pytest.mark.parametrize(("news", "line"), LINES)
def test_lines_for_a_pipe(news: News, line: str | None) -> None:
    assert line_of(news, after(STARTED, news)) == line


def test_states_are_never_changed() -> None:
    state = after(STARTED, dense())
    before = repr(state)
    state.after(finished(2, 0.9, 10, 3), 9.0)
    assert repr(state) == before

"""Searches killed anywhere ask what they would have asked, and lose and double nothing."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from prunesearch.store import Store
from prunesearch.store.optuna_storage import close_storage, optuna_storage

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 12
STATEMENTS = 2000  # about as many as an uninterrupted search of so many trials takes


def survived(folder: Path, sampler: str, cases: list[str]) -> None:
    command = [sys.executable, "-m", "tests.search.chaos", str(folder), str(TRIALS), sampler, *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def by_ticket(folder: Path, case: int) -> dict[int, str]:
    """Ticket -> digest of the policy that was run for it; the store is checked on the way."""
    url = f"sqlite:///{folder / f'{case}.db'}"
    with Store.open(url) as store:
        records, tickets = store.trials("s"), store.tickets("s")
        history = store.front_history("s")
    ended = [r for r in records if r.state != "lost"]
    assert [t.number for t in tickets] == list(range(TRIALS))
    assert {t.state for t in tickets} == {"done"}
    assert sorted(r.ticket for r in ended if r.ticket is not None) == list(range(TRIALS))
    assert {r.state for r in ended} <= {"complete", "infeasible"}
    assert history
    _check_optuna(url, {r.number for r in ended})
    return {r.ticket: r.digest for r in ended if r.ticket is not None}


def _check_optuna(url: str, ended: set[int]) -> None:
    storage = optuna_storage(url)
    trials = optuna.load_study(study_name="s", storage=storage).get_trials(deepcopy=True)
    close_storage(storage)
    complete = {t.number for t in trials if t.state == TrialState.COMPLETE and "duplicate" not in t.user_attrs}
    assert complete == ended
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def started(folder: Path, case: int) -> dict[int, list[tuple[int, str, bool]]]:
    """Trial -> each time that it was started: ticket, digest, whether again."""
    found = defaultdict(list)
    for line in (folder / f"{case}.log").read_text().splitlines():
        number, ticket, digest, again = line.split()
        found[int(number)].append((int(ticket), digest, again == "1"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "count"), [("tpe", 3), ("tpe_multivariate", 1), ("nsga2", 1)])
def test_a_search_killed_three_times_asks_the_same_policies(tmp_path: Path, sampler: str, count: int) -> None:
    draw = random.Random(sampler)
    points = [draw.sample(range(40, STATEMENTS), 3) for _ in range(count)]
    cases = ["-", *(",".join(map(str, p)) for p in points), ",".join(f"t{draw.randrange(150, 900)}" for _ in range(3))]
    survived(tmp_path, sampler, cases)
    whole = by_ticket(tmp_path, 0)
    assert len(set(whole.values())) == TRIALS
    for case in range(1, len(cases)):
        assert by_ticket(tmp_path, case) == whole, cases[case]


@pytest.mark.slow
def test_an_unfinished_trial_is_run_again_under_its_own_number(tmp_path: Path) -> None:
    cases = ["s1,s1,s4", "s11,s2"]
    survived(tmp_path, "random", ["-", *cases])
    repeated = 0
    for case in range(1, len(cases) + 1):
        for starts in started(tmp_path, case).values():
            assert len({(ticket, digest) for ticket, digest, _ in starts}) == 1
            assert [again for _, _, again in starts] == [False, *[True] * (len(starts) - 1)]
            repeated += len(starts) - 1
        assert by_ticket(tmp_path, case) == by_ticket(tmp_path, 0)
    assert repeated == 5

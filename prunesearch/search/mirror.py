"""A copy of the study in memory, on which samplers work.

Optuna writes a trial parameter by parameter, and TPE reads all trials again for each: on SQLite that is some 200
statements per proposal, and a driver that dies in between leaves half a trial. So policies are proposed here, and enter
the database whole, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from prunesearch.policy import Policy
from prunesearch.search.space import SearchSpace

_TAUGHT = (TrialState.COMPLETE, TrialState.PRUNED)


class Mirror:
    """Finished trials stay in the copy; those in flight are lent to it for one proposal at a time.

    Args:
        directions: maximize or minimize, one per objective.
    """

    def __init__(self, directions: Iterable[Literal["maximize", "minimize"]]) -> None:
        self._study = optuna.create_study(directions=list(directions), sampler=RandomSampler(seed=0))
        self._learnt: set[int] = set()

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take over what has finished since the last time."""
        for trial in trials:
            if trial.state in _TAUGHT and trial.number not in self._learnt:
                self._study.add_trial(trial)
                self._learnt.add(trial.number)

    def propose(self, space: SearchSpace, sampler: BaseSampler, running: Iterable[FrozenTrial]) -> tuple[FrozenTrial, Policy]:
        """A policy, and the running trial with all its parameters that stands for it.

        Args:
            space: what is searched.
            sampler: who proposes.
            running: trials in flight, which TPE takes for bad ones, so that proposals made at a time differ.
        """
        first = len(self._study.get_trials(deepcopy=False))
        self._study.add_trials([_whole(trial) for trial in running])
        self._study.sampler = sampler
        asked = self._study.ask()
        policy = space.suggest(asked)
        trials = self._study.get_trials(deepcopy=False)
        found = trials[asked.number]
        self._study.sampler = RandomSampler(seed=0)
        for lent in trials[first:]:
            self._study.tell(lent.number, state=TrialState.FAIL)
        return found, policy


def _whole(trial: FrozenTrial) -> FrozenTrial:
    """A running trial as a copy that can be added to a study."""
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
    )

"""The same by somebody who knows how: tensors in memory, two processes of one thread, masks by multiplication, one study.

    python -m benchmarks.peers.expert SCENARIO --to FILE.json [--policies FILE.json | --seconds 120] [--tuned]

With `--policies` the list is run; with `--seconds` TPE searches for so long. Every trial trains from scratch. `--tuned` adds
what few scripts have: the optimiser in one kernel, and channels_last.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before torch is imported, in this process and its children

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
import psutil
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import nn

from benchmarks.data import Pair, network, raw
from benchmarks.peers.masks import Masks
from benchmarks.peers.plan import Plan, Policy, Rate
from benchmarks.peers.proposals import queued, suggest
from benchmarks.scenarios import SCENARIOS, Scenario

PROCESSES = 2
_PADDING, _BATCH = 4, 1000


class Data:
    """All images of a scenario in memory, ready for the network.

    Args:
        scenario: whose images.
        data_dir: torchvision root.
        seed: of the split.
        tuned: whether images lie as convolutions like them.
    """

    def __init__(self, scenario: Scenario, data_dir: str | None, seed: int = 0, *, tuned: bool = False) -> None:
        self._scenario, self.seed, self.tuned = scenario, seed, tuned
        train, test = raw(scenario, data_dir)
        order = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(seed))
        count = len(order) // 10
        self.train, self.val = self._ready(train, order[count:]), self._ready(train, order[:count])
        self.test = self._ready(test, torch.arange(len(test[1])))

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.train[1]) // self._scenario.batch_size)

    def shuffled(self) -> Iterator[Pair]:
        """The batches of a training epoch, augmented where the scenario says so."""
        x, y = self.train
        for index in torch.randperm(len(y)).split(self._scenario.batch_size):
            yield (self._crops(index) if self._scenario.augment else x[index]), y[index]

    def _ready(self, pair: Pair, index: torch.Tensor) -> Pair:
        mean, deviation = self._scenario.normalize
        x = (pair[0][index].float() / 255 - mean) / deviation
        return x.contiguous(memory_format=layout(tuned=self.tuned)), pair[1][index]

    @cached_property
    def _padded(self) -> torch.Tensor:
        """(n, h + 8, w + 8, c), black around."""
        mean, deviation = self._scenario.normalize
        padded = nn.functional.pad(self.train[0], (_PADDING,) * 4, value=-mean / deviation)
        return padded.permute(0, 2, 3, 1).contiguous()

    def _crops(self, index: torch.Tensor) -> torch.Tensor:
        """A random crop and flip of every image of a batch."""
        side, count = self.train[0].shape[-1], len(index)
        down, right = torch.randint(2 * _PADDING + 1, (2, count, 1))
        columns = torch.arange(side).expand(count, side)
        columns = right + torch.where(torch.rand(count, 1) < 0.5, columns, columns.flip(1))
        rows = down + torch.arange(side)
        found = self._padded[index[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return found.contiguous(memory_format=layout(tuned=self.tuned))


def layout(*, tuned: bool) -> torch.memory_format:
    """How images and filters lie in memory."""
    return torch.channels_last if tuned else torch.contiguous_format


def evaluate(model: nn.Module, pair: Pair) -> float:
    """Accuracy."""
    model.eval()
    with torch.inference_mode():
        hits = [(model(x).argmax(1) == y).sum() for x, y in zip(pair[0].split(_BATCH), pair[1].split(_BATCH), strict=True)]
    return int(torch.stack(hits).sum()) / len(pair[1])


def train_epoch(
    model: nn.Module, data: Data, optimizer: torch.optim.Optimizer, rate: Rate, masks: Masks, most: int | None = None
) -> None:
    """One epoch with masks that hold, or its first `most` batches."""
    model.train()
    for x, y in islice(data.shuffled(), most):
        for group in optimizer.param_groups:
            group["lr"] = rate.next()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        masks.apply()


class Objective:
    """What Optuna optimises: validation accuracy up, parameters down.

    Args:
        scenario: what is pruned.
        data: its images.
        listed: whether only trials that were queued are run.
    """

    def __init__(self, scenario: Scenario, data: Data, *, listed: bool) -> None:
        self._scenario, self._data, self._listed = scenario, data, listed
        self._space = scenario.space()

    def __call__(self, trial: optuna.Trial) -> tuple[float, int]:
        """Train, prune and measure one policy."""
        if self._listed and "listed" not in trial.user_attrs:  # the queue is empty, and Optuna has drawn one
            trial.study.stop()
            raise optuna.TrialPruned
        policy = suggest(trial, self._space, self._scenario.epochs)
        torch.manual_seed(self._data.seed)
        accuracy, test_accuracy, params = self.run(policy)
        trial.set_user_attr("test_accuracy", test_accuracy)
        trial.set_user_attr("finished", time.time())
        return accuracy, params

    def run(self, policy: Policy) -> tuple[float, float, int]:
        """Validation accuracy, test accuracy and parameters of one policy."""
        scenario, data, plan = self._scenario, self._data, Plan(policy)
        model = network(scenario).to(memory_format=layout(tuned=data.tuned))
        optimizer = torch.optim.Adam(model.parameters(), lr=scenario.lr, fused=data.tuned or None)
        rate, masks = Rate(scenario.lr, data.steps, scenario.epochs), Masks(model, scenario, policy)
        accuracy, answer = 0.0, None
        for epoch in range(scenario.epochs + 1):
            found = plan.before(epoch, accuracy if epoch else None)
            if plan.came_back is not None:
                answer = ({k: v.clone() for k, v in model.state_dict().items()}, masks.left)
            if found is not None:
                masks.cut(found.level)
                rate.restart(found, scenario.lr)
            if epoch < scenario.epochs:
                train_epoch(model, data, optimizer, rate, masks)
                accuracy = evaluate(model, data.val)
        if answer is not None:
            model.load_state_dict(answer[0])
        left = masks.left if answer is None else answer[1]
        return evaluate(model, data.val), evaluate(model, data.test), left


def run(scenario: Scenario, policies: Sequence[Policy], data_dir: str | None, seed: int, *, tuned: bool) -> list[dict[str, Any]]:
    """Run a list of policies; one row per policy, in order."""
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "journal.log")
        study = optuna.create_study(storage=_storage(journal), study_name="list", directions=["maximize", "minimize"])
        for policy in policies:
            study.enqueue_trial(queued(policy), user_attrs={"listed": True})
        _together((scenario.name, journal, data_dir, None, seed, tuned))
        done = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.COMPLETE]
    return [_row(t) for t in done]


def search(scenario: Scenario, seconds: float, data_dir: str | None, seed: int, *, tuned: bool) -> list[dict[str, Any]]:
    """Search with TPE until this process is so many seconds old; one row per trial that ended by then, with its time."""
    began = psutil.Process().create_time()
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "journal.log")
        study = optuna.create_study(storage=_storage(journal), study_name="list", directions=["maximize", "minimize"])
        _together((scenario.name, journal, data_dir, began + seconds, seed, tuned))
        done = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.COMPLETE]
    rows = [{**_row(t), "finished": t.user_attrs["finished"] - began} for t in done]
    return [row for row in rows if row["finished"] <= seconds]


def _row(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {"accuracy": trial.values[0], "test_accuracy": trial.user_attrs["test_accuracy"], "params": trial.values[1]}


def _together(what: tuple[str, str, str | None, float | None, int, bool]) -> None:
    """All processes, to their end.

    Raises:
        RuntimeError: one of them failed.
    """
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(*what, i)) for i in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a process of the expert's script failed")


def _work(name: str, journal: str, data_dir: str | None, until: float | None, seed: int, tuned: bool, index: int) -> None:
    """One process: trials until the queue is empty, or until the time is over."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scenario = SCENARIOS[name]
    objective = Objective(scenario, Data(scenario, data_dir, seed, tuned=tuned), listed=until is None)
    study = optuna.load_study(
        storage=_storage(journal), study_name="list", sampler=optuna.samplers.TPESampler(seed=PROCESSES * seed + index)
    )
    study.optimize(objective, timeout=None if until is None else max(0.0, until - time.time()))


def _storage(journal: str) -> JournalStorage:
    return JournalStorage(JournalFileBackend(journal))


def main() -> None:
    """Run the list, or search, and write the rows to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--policies", help="JSON file with the policies")
    parser.add_argument("--seconds", type=float, help="search for so long instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tuned", action="store_true", help="fused optimiser, channels_last")
    parser.add_argument("--to", required=True, help="where the rows go")
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scenario = SCENARIOS[args.scenario]
    if args.policies:
        policies = json.loads(Path(args.policies).read_text(encoding="utf-8"))
        rows = run(scenario, policies, args.data_dir, args.seed, tuned=args.tuned)
    else:
        rows = search(scenario, args.seconds, args.data_dir, args.seed, tuned=args.tuned)
    Path(args.to).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

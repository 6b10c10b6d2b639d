"""The page that tutorials show: Optuna, torch.nn.utils.prune, and torchvision's data set in a DataLoader.

    python -m benchmarks.peers.tutorial SCENARIO --to FILE.json [--jobs 2] [--data-dir DIR]

Every trial trains from scratch; torch uses as many threads as it likes; images are opened, converted and normalised one
by one, in the training process, as a DataLoader does unless told otherwise.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, random_split

from benchmarks.data import network, pictures, raw, usual_transform
from benchmarks.peers.plan import Cut, Plan, Policy, Rate
from benchmarks.peers.proposals import queued, suggest
from benchmarks.scenarios import SCENARIOS, Scenario

Loader = DataLoader[Any]


def loaders(scenario: Scenario, data_dir: str | None, seed: int = 0) -> tuple[Loader, Loader, Loader]:
    """Training, validation and test data."""
    augmented, plain = (usual_transform(scenario, augment=a) for a in (True, False))
    raw(scenario, data_dir)  # unpacks the archives
    parts = []
    for transform in (augmented, plain):  # the same split twice, for validation images are not augmented
        whole = pictures(scenario, data_dir, train=True, transform=transform)
        parts.append(random_split(whole, [0.9, 0.1], generator=torch.Generator().manual_seed(seed)))
    test = pictures(scenario, data_dir, train=False, transform=plain)
    train, val = parts[0][0], parts[1][1]
    return DataLoader(train, scenario.batch_size, shuffle=True), DataLoader(val, 256), DataLoader(test, 256)


def evaluate(model: nn.Module, loader: Loader) -> float:
    """Accuracy."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for x, y in loader:
            right += int((model(x).argmax(1) == y).sum())
            count += len(y)
    return right / count


def train_epoch(model: nn.Module, loader: Loader, optimizer: torch.optim.Optimizer, rate: Rate, most: int | None = None) -> None:
    """One epoch, or its first `most` batches."""
    model.train()
    for i, (x, y) in enumerate(loader):
        if i == most:
            return
        for group in optimizer.param_groups:
            group["lr"] = rate.next()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def cut(model: nn.Module, scenario: Scenario, policy: Policy, level: float) -> None:
    """Prune to a cumulative level. torch.nn.utils.prune counts what goes on top of what is gone already."""
    if policy["granularity"] != "weight":
        _cut_units(model, scenario, level)
        return
    modules: list[tuple[Any, str]] = [(model.get_submodule(name), "weight") for name in scenario.layers]
    groups = [modules] if policy["scope"] == "global" else [[m] for m in modules]
    for group in groups:
        gone = sum(int((m.weight_mask == 0).sum()) for m, _ in group if hasattr(m, "weight_mask"))
        more = int(sum(m.weight.numel() for m, _ in group) * level + 1e-9) - gone
        if more > 0:
            prune.global_unstructured(group, pruning_method=prune.L1Unstructured, amount=more)


def _cut_units(model: nn.Module, scenario: Scenario, level: float) -> None:
    for units in scenario.units:
        module: Any = model.get_submodule(units.layer)
        gone = int((_rows(module) == 0).sum())
        more = min(int(len(module.weight) * level + 1e-9), len(module.weight) - 1) - gone
        if more <= 0:
            continue
        prune.ln_structured(module, "weight", amount=more, n=1, dim=0)
        others = [(module, "bias")] if module.bias is not None else []
        if units.norm:
            others += [(model.get_submodule(units.norm), name) for name in ("weight", "bias")]
        for other, name in others:  # a bias or a norm's shift would still speak
            prune.custom_from_mask(other, name, _rows(module))


def _rows(module: Any) -> torch.Tensor:
    """1 where a unit is left."""
    if not hasattr(module, "weight_mask"):
        return torch.ones(len(module.weight))
    mask: torch.Tensor = module.weight_mask
    return mask.flatten(1).amax(1)


def parameters_left(model: nn.Module) -> int:
    """Parameters that are not masked."""
    masks = sum(int((mask == 0).sum()) for name, mask in model.named_buffers() if name.endswith("_mask"))
    return sum(p.numel() for p in model.parameters()) - masks


class Objective:
    """What Optuna optimises: validation accuracy up, parameters down.

    Args:
        scenario: what is pruned.
        data_dir: torchvision root.
        seed: of split, initial values and order.
    """

    def __init__(self, scenario: Scenario, data_dir: str | None, seed: int = 0) -> None:
        self._scenario, self._data_dir, self._seed = scenario, data_dir, seed

    def __call__(self, trial: optuna.Trial) -> tuple[float, int]:
        """Train, prune and measure one policy."""
        policy = suggest(trial, self._scenario.space(), self._scenario.epochs)
        torch.manual_seed(self._seed)
        accuracy, test_accuracy, params = self.run(policy)
        trial.set_user_attr("test_accuracy", test_accuracy)
        return accuracy, params

    def run(self, policy: Policy) -> tuple[float, float, int]:
        """Validation accuracy, test accuracy and parameters of one policy."""
        scenario, plan = self._scenario, Plan(policy)
        train, val, test = loaders(scenario, self._data_dir, self._seed)
        model = network(scenario)
        optimizer = torch.optim.Adam(model.parameters(), lr=scenario.lr)
        rate = Rate(scenario.lr, len(train), scenario.epochs)
        accuracy, answer = 0.0, None
        for epoch in range(scenario.epochs + 1):
            found = plan.before(epoch, accuracy if epoch else None)
            if plan.came_back is not None:
                answer = copy.deepcopy(model)
            self._begin(model, policy, found, rate)
            if epoch < scenario.epochs:
                train_epoch(model, train, optimizer, rate)
                accuracy = evaluate(model, val)
        model = answer or model
        return evaluate(model, val), evaluate(model, test), parameters_left(model)

    def _begin(self, model: nn.Module, policy: Policy, found: Cut | None, rate: Rate) -> None:
        if found is not None:
            cut(model, self._scenario, policy, found.level)
            rate.restart(found, self._scenario.lr)


def run(scenario: Scenario, policies: Sequence[Policy], data_dir: str | None, jobs: int, seed: int) -> list[dict[str, Any]]:
    """Run a list of policies; one row per policy, in order."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    for policy in policies:
        study.enqueue_trial(queued(policy))
    study.optimize(Objective(scenario, data_dir, seed), n_trials=len(policies), n_jobs=jobs)
    return [
        {"accuracy": t.values[0], "test_accuracy": t.user_attrs["test_accuracy"], "params": t.values[1]} for t in study.trials
    ]


def main() -> None:
    """Run the committed list and write the rows to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--policies", required=True, help="JSON file with the policies")
    parser.add_argument("--to", required=True, help="where the rows go")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    policies = json.loads(Path(args.policies).read_text(encoding="utf-8"))
    rows = run(SCENARIOS[args.scenario], policies, args.data_dir, args.jobs, args.seed)
    Path(args.to).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

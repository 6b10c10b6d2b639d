"""The conformance matrix: every composition that the rules allow, run and checked on an MLP, LeNet-5 and a ResNet-20.

    python -m tests.pruning.conformance [--page docs/policies.md]

runs all of them on scikit-learn's digits and writes what was found into the page. Each is trained for 20 steps in float64;
policies for units a second time with `shrink=True`, where training goes on as the smaller network: both have to end as the
same network.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.optim import SGD

from prunesearch import rules
from prunesearch.hyperparameters import SCHEDULE_TYPES
from prunesearch.models.lenet import LeNet5
from prunesearch.models.mlp import mlp
from prunesearch.models.resnet import resnet
from prunesearch.policy import Policy
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.pruning.masks import build_masks
from prunesearch.pruning.running import largest_difference, outputs
from prunesearch.pruning.session import Finished, PruningSession
from prunesearch.schedules.markdown import table, with_block

EPOCHS, STEPS, LEVEL = 4, 5, 0.6
EVALUATED, TRAINED = 1e-5, 1e-7
"""How far masked and cut network may be apart: evaluated in float32; after twenty training steps in float64."""


@dataclass(frozen=True)
class Subject:
    """A network, how it sees a digit, (n, 1, 8, 8) -> its input, and the granularities that it has."""

    make: Callable[[], nn.Module]
    see: Callable[[torch.Tensor], torch.Tensor]
    granularities: tuple[str, ...]


SUBJECTS: Mapping[str, Subject] = {
    "MLP": Subject(lambda: mlp((64, 60, 40, 10)), lambda x: x.flatten(1), ("weight", "neuron")),
    "LeNet-5": Subject(LeNet5, lambda x: functional.interpolate(x, 28), ("weight", "neuron", "filter", "unit")),
    "ResNet-20": Subject(lambda: resnet(20), lambda x: x.repeat(1, 3, 1, 1), ("weight", "filter")),
}


@cache
def digits(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Forty digits as a network sees them, in float64."""
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images[:40] / 16.0, dtype=torch.float64).view(-1, 1, 8, 8)
    return SUBJECTS[name].see(x), torch.tensor(classes[:40])


@cache
def groups_of(name: str) -> Groups:
    """The groups of a subject."""
    return find_groups(SUBJECTS[name].make(), digits(name)[0][:2].float())


def branches() -> Iterator[dict[str, Any]]:
    """All compositions of schedule, scope and recovery that the rules allow."""
    for kind in SCHEDULE_TYPES:
        for function in rules.choices("function", {"schedule_type": kind}) or (None,):
            chosen = {"schedule_type": kind} | ({"function": function} if function else {})
            for scope in rules.choices("scope", chosen) or (None,):
                for recovery in rules.choices("recovery", chosen):
                    yield chosen | ({"scope": scope} if scope else {}) | {"recovery": recovery}


def policies(granularity: str) -> Iterator[Policy]:
    """One policy for each composition."""
    for branch in branches():
        amounts = {
            "threshold": LEVEL,
            "ratio": {"default": LEVEL},
            "weight_threshold": 0.02 if granularity == "weight" else 0.97,
            "converge_over": 2,
            "prune_iter": 2,
            "threshold_step": 0.1,
        }
        fields = branch | {k: v for k, v in amounts.items() if k in rules.used(branch)}
        yield Policy.parse({"epochs": EPOCHS, "epoch_threshold": 1, "granularity": granularity, **fields})


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    subject: str
    policy: Policy

    @property
    def schedule(self) -> str:
        """What stands in the first column."""
        kind, function = self.policy.schedule_type, self.policy.function
        return f"{kind}, {function}" if function else kind

    def __str__(self) -> str:
        parts = (self.subject, self.policy.granularity, self.schedule, self.policy.scope, self.policy.recovery)
        return "-".join(part.replace(", ", "-") for part in parts if part)


def cases() -> list[Case]:
    """The whole matrix."""
    return [Case(name, p) for name, subject in SUBJECTS.items() for kind in subject.granularities for p in policies(kind)]


@dataclass(frozen=True)
class Found:
    """What a case has shown: what is wrong with it, and how far masked and cut network are apart."""

    case: Case
    problems: tuple[str, ...]
    evaluated: float
    trained: float | None


class Course:
    """One case on its way from the first epoch to the cut."""

    def __init__(self, case: Case, *, shrink: bool = False, dtype: torch.dtype = torch.float64) -> None:
        torch.manual_seed(0)
        self.case, self.dtype = case, dtype
        self.model = SUBJECTS[case.subject].make().to(dtype).train()
        self.x, self.y = digits(case.subject)[0].to(dtype), digits(case.subject)[1]
        self.optimizer = SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.session = PruningSession(
            self.model,
            case.policy,
            optimizer=self.optimizer,
            example_input=self.x[:2],
            groups=groups_of(case.subject),
            losses=lambda count: (self._loss(i) for i in range(count)),
            shrink=shrink,
        )
        self.broken: list[str] = []

    def run(self) -> Finished:
        """All epochs and the end; `broken` says after which steps a mask did not hold."""
        for epoch in range(EPOCHS):
            self.session.before_epoch(epoch, accuracy=0.5)
            for step in range(STEPS):
                self.optimizer.zero_grad()
                self._loss(step).backward()
                self.optimizer.step()
                self.session.after_step()
                if self.case.policy.function != "one_shot" and not self._holds():
                    self.broken.append(f"a mask does not hold in step {step} of epoch {epoch}")
            with self.session.measuring():
                if not self._holds():
                    self.broken.append(f"a mask does not hold while epoch {epoch} is measured")
        return self.session.finish(0.5)

    def _loss(self, step: int) -> torch.Tensor:
        batch = slice(8 * (step % 5), 8 * (step % 5) + 8)
        return functional.cross_entropy(self.model(self.x[batch]), self.y[batch])

    def _holds(self) -> bool:
        """Whether what is gone is zero; a network that has shrunk has nothing left that could be otherwise."""
        parameters = dict(self.model.named_parameters())
        if sum(p.numel() for p in parameters.values()) < self.session._total:
            return True
        masks = build_masks(parameters, groups_of(self.case.subject).chosen(self.case.policy), self.session._gone)
        return all(not bool(parameters[name][mask == 0].any()) for name, mask in masks.items())


def examine(case: Case) -> Found:
    """Run one case and say what is wrong with it."""
    course = Course(case)
    finished = course.run()
    problems = [*course.broken[:1], *unreached(case.policy, finished), finished.infeasible]
    if not case.policy.is_unit:
        return Found(case, tuple(p for p in problems if p), 0.0, None)
    single, small = Course(case, dtype=torch.float32).run(), Course(case, shrink=True)
    problems += [small.run().infeasible, single.infeasible, *small.broken[:1], *unlike(course.model, finished)]
    trained = largest_difference(outputs(course.model, course.x), outputs(small.model, course.x))
    if not trained <= TRAINED:
        problems.append(f"trained apart by {trained:.0e}")
    if not single.masked_difference <= EVALUATED:
        problems.append(f"masked and cut differ by {single.masked_difference:.0e}")
    return Found(case, tuple(p for p in problems if p), single.masked_difference, trained)


def unlike(model: nn.Module, finished: Finished) -> list[str]:
    """Layers whose weights are not as wide as is told."""
    widths = {row.name: model.get_parameter(f"{row.name}.weight").shape[0] for row in finished.layers}
    return [f"{r.name} has {widths[r.name]} units instead of {r.kept}" for r in finished.layers if widths[r.name] != r.kept]


def unreached(policy: Policy, finished: Finished) -> list[str]:
    """Where what is gone is not exactly what was asked; under a bound, whether anything is gone at all."""
    rows = [row for row in finished.layers if row.name in finished.gone]
    gone = [row.total - row.kept for row in rows]
    if policy.schedule_type == "magnitude_threshold":
        return [] if sum(gone) else ["nothing went under the bound"]
    level = LEVEL
    if policy.schedule_type == "rewind_pruning":
        level = LEVEL + 2 * 0.1  # three epochs from E on, each of which comes back: the third level is the answer
    if policy.scope == "global":
        asked = [math.floor(sum(row.total for row in rows) * level + 1e-9)]
        gone = [sum(gone)]
        if "min_units" in str(finished.notes):
            return []
    else:
        asked = [math.floor(row.total * level + 1e-9) for row in rows]
    return [] if gone == asked else [f"{gone} went instead of {asked}"]


def block(found: Iterable[Found]) -> str:
    """The matrix as a table: one line for each schedule, network and granularity."""
    rows = []
    for (subject, granularity, schedule), cells in groupby(
        found, key=lambda f: (f.case.subject, f.case.policy.granularity, f.case.schedule)
    ):
        line = list(cells)
        scopes, recoveries = ({getattr(f.case.policy, name): None for f in line} for name in ("scope", "recovery"))
        right = sum(not f.problems for f in line)
        trained = [f.trained for f in line if f.trained is not None]
        rows.append(
            [
                subject,
                granularity,
                f"`{schedule}`",
                ", ".join(s or "-" for s in scopes),
                ", ".join(recoveries),
                f"{right} of {len(line)}",
                _small(max(f.evaluated for f in line)) if trained else "-",
                _small(max(trained)) if trained else "-",
            ]
        )
    head = ["network", "granularity", "schedule", "scopes", "recoveries", "right", "masked, cut: float32", "20 steps: float64"]
    return table(head, rows)


def _small(value: float) -> str:
    return f"{value:.0e}" if value else "0"


def main() -> None:
    """Run the whole matrix and write it into the page; exit code 1 where a case is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("docs/policies.md"))
    page = parser.parse_args().page
    torch.set_num_threads(1)
    found = []
    for case in cases():
        found.append(examine(case))
        sys.stdout.write(f"{case}  {', '.join(found[-1].problems) or 'right'}\n")
    page.write_text(with_block(page.read_text(encoding="utf-8"), "matrix", block(found)), encoding="utf-8")
    wrong = sum(bool(f.problems) for f in found)
    if wrong:
        raise SystemExit(f"{wrong} of {len(found)} are not right")


if __name__ == "__main__":
    main()

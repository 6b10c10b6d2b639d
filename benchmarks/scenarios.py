"""What is measured on: networks, data and recipes that prunesearch and its peers share. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prunesearch import yamlfile
from prunesearch.policy import Policy

ROOT = Path(__file__).resolve().parent.parent
POLICIES = Path(__file__).with_name("policies.yaml")


@dataclass(frozen=True)
class Units:
    """One layer whose units can go, and what goes with them.

    Args:
        layer: the module that produces them.
        follower: the module that reads them.
        repeat: columns of the follower's weight per unit.
        norm: the norm layer between the two, or None.
    """

    layer: str
    follower: str
    repeat: int = 1
    norm: str | None = None


@dataclass(frozen=True)
class Scenario:
    """One network on one kind of data.

    Args:
        name: its name on the command line.
        about: one line.
        network: name of the function in `prunesearch.models` and its arguments.
        data: name of the data set: mnist, fashion or digits.
        train: training images that are used, validation included; 0: all.
        test: test images that are used; 0: all.
        normalize: (mean, deviation) of the pixels in [0, 1], the same for all channels.
        layers: modules of which single weights can go.
        units: layers of which whole units can go.
        kind: what those units are.
        epochs: N.
        batch_size: examples per step.
        lr: learning rate of Adam, on a cosine to zero.
        coloured: whether images become three channels of 32 x 32 pixels, like CIFAR-10's.
        augment: whether crops and flips are drawn.
        only: globs of the groups that policies prune, where it is not all.
        contestants: who runs it, by default; see `benchmarks.race`.
    """

    name: str
    about: str
    network: tuple[str, Mapping[str, Any]]
    data: str
    layers: tuple[str, ...]
    units: tuple[Units, ...]
    contestants: tuple[str, ...]
    kind: str = "neuron"
    train: int = 0
    test: int = 0
    normalize: tuple[float, float] = (0.0, 1.0)
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1.2e-3
    coloured: bool = False
    augment: bool = False
    only: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """How prunesearch is told of it."""
        return f"{Path(__file__).with_name('tasks.py')}:{self.name}"

    def policies(self) -> list[dict[str, Any]]:
        """The committed list as this network takes it."""
        given = yamlfile.load(POLICIES)
        return [self._taken({**fields, "epochs": given["epochs"]}) for fields in given["policies"]]

    def space(self) -> dict[str, Any]:
        """What adaptive searches draw from, as a study file says it."""
        space: dict[str, Any] = dict(yamlfile.load(POLICIES)["space"])
        space["granularity"] = [self.kind if g == "neuron" else g for g in space["granularity"]]
        return {**space, "only": list(self.only)} if self.only else space

    def _taken(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["granularity"] == "neuron":
            fields["granularity"] = self.kind
        if self.only:
            fields["only"] = list(self.only)
        return Policy.parse(fields).rescaled(self.epochs).to_dict()


_RESIDUAL = tuple(f"stage{s}.{b}" for s in (1, 2, 3) for b in range(3))

_TABLE = (
    Scenario(
        "lenet300",
        "LeNet-300-100 on MNIST, 60,000 images, weights and neurons",
        ("mlp", {"sizes": (784, 300, 100, 10)}),
        "mnist",
        layers=("fc1", "fc2"),
        units=(Units("fc1", "fc2"), Units("fc2", "fc3")),
        contestants=("tutorial", "tutorial2", "expert", "tuned", "prunesearch", "unshared", "fast"),
        normalize=(0.1307, 0.3081),
    ),
    Scenario(
        "lenet5",
        "LeNet-5 on MNIST, 10,000 images, weights and filters",
        ("lenet5", {}),
        "mnist",
        layers=("conv1", "conv2", "fc1"),
        units=(Units("conv1", "conv2"), Units("conv2", "fc1", repeat=16)),
        contestants=("tutorial", "expert", "tuned", "prunesearch", "unshared", "fast"),
        kind="filter",
        train=10_000,
        normalize=(0.1307, 0.3081),
    ),
    Scenario(
        "resnet20",
        "ResNet-20 on 2,000 pictures of Fashion-MNIST, 3 x 32 x 32, batch norm, crops and flips; weights and filters of the "
        "first layer of each residual block (Li et al. 2017)",
        ("resnet", {"depth": 20}),
        "fashion",
        layers=tuple(f"{block}.conv1" for block in _RESIDUAL),
        units=tuple(Units(f"{block}.conv1", f"{block}.conv2", norm=f"{block}.norm1") for block in _RESIDUAL),
        contestants=("tutorial", "expert", "tuned", "prunesearch", "fast"),
        kind="filter",
        train=2_000,
        test=1_000,
        normalize=(0.2860, 0.3530),
        batch_size=64,
        lr=3e-3,
        coloured=True,
        augment=True,
        only=("stage*.conv1",),
    ),
    Scenario(
        "digits",
        "a perceptron on scikit-learn's digits, for trying things out",
        ("mlp", {"sizes": (64, 128, 64, 10)}),
        "digits",
        layers=("fc1", "fc2"),
        units=(Units("fc1", "fc2"), Units("fc2", "fc3")),
        contestants=("tutorial", "expert", "prunesearch", "unshared"),
        epochs=2,
        batch_size=32,
        lr=5e-3,
    ),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({s.name: s for s in _TABLE})
"""All of them by name; `digits` is the one of `--quick`."""
REAL = tuple(name for name in SCENARIOS if name != "digits")
"""Those of which results are published."""
QUICK = "digits"
"""The one that takes seconds."""


def one_of_each(policies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first policy of every schedule, for `--quick`."""
    found: dict[str, dict[str, Any]] = {}
    for policy in policies:
        found.setdefault(str(policy.get("function", policy["schedule_type"])), policy)
    return list(found.values())


def listed(scenario: Scenario, *, quick: bool = False) -> list[dict[str, Any]]:
    """The committed list for a scenario; with `quick` one policy of every schedule."""
    policies = scenario.policies()
    return one_of_each(policies) if quick else policies


def schedule_of(policy: Mapping[str, Any]) -> str:
    """What kind of schedule a policy has, in one word."""
    return str(policy.get("function") or policy["schedule_type"])


def distinct_epochs(policies: Sequence[Mapping[str, Any]], epochs: int) -> int:
    """Epochs that are left to train when policies share the dense trunk, the dense network's own included.

    A lower bound for any policy: it must train every epoch from its first cut on.
    """
    first = [int(p["epoch_threshold"]) + (schedule_of(p) == "gradual") for p in policies]
    return epochs + sum(epochs - min(e, epochs) for e in first)

"""The peers prune what prunesearch prunes, weight by weight, and end where it ends, within what a seed changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.data import Pair, network, raw
from benchmarks.peers import expert, tutorial
from benchmarks.peers.masks import Masks
from benchmarks.scenarios import SCENARIOS, Scenario, one_of_each
from benchmarks.tasks import digits
from prunesearch.engines.base import EngineSpec
from prunesearch.policy import Policy
from prunesearch.pruning.session import PruningSession
from prunesearch.results import Job
from prunesearch.training.data import Batches
from prunesearch.training.prepare import Prepared, prepare
from prunesearch.trial import TrialRunner

DIGITS = SCENARIOS["digits"]
SHAPES = {"lenet300": (1, 28, 28), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32)}


def zeros(model: nn.Module) -> dict[str, torch.Tensor]:
    """Where a network's weights are zero; under torch.nn.utils.prune too, whose masked weights are plain attributes."""
    found = {}
    for name, module in model.named_modules():
        for part in ("weight", "bias"):
            tensor = getattr(module, part, None)
            if isinstance(tensor, torch.Tensor):
                found[f"{name}.{part}"] = tensor.detach() == 0
    return found


def drawn(scenario: Scenario) -> nn.Module:
    """A network in which no parameter happens to be zero."""
    torch.manual_seed(0)
    model = network(scenario)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 1e-3)
    return model


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("units", [False, True], ids=["weights", "units"])
@pytest.mark.parametrize("name", SHAPES)
def test_what_goes_is_what_prunesearch_takes(name: str, units: bool, scope: str) -> None:
    scenario = SCENARIOS[name]
    granularity = scenario.kind if units else "weight"
    fields = {"granularity": granularity, "scope": scope, "only": list(scenario.only), "epochs": 2}
    policy = Policy.parse({**fields, "function": "iterative", "prune_iter": 2, "threshold": 0.7})
    ours, listed = drawn(scenario), drawn(scenario)
    session = PruningSession(ours, policy, optimizer=None, example_input=torch.rand(2, *SHAPES[name]))
    masks = Masks(listed, scenario, fields)
    for epoch, level in enumerate((1 - 0.3**0.5, 0.7)):
        session.before_epoch(epoch)
        masks.cut(level)
    expected = zeros(ours)
    assert all(torch.equal(found, expected[key]) for key, found in zeros(listed).items())
    assert 0 < masks.left < sum(p.numel() for p in listed.parameters())


@pytest.mark.parametrize("units", [False, True], ids=["weights", "units"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_tutorial_takes_the_same_and_leaves_the_next_layers_inputs(name: str, units: bool) -> None:
    """At a second cut of units the inputs that it left speak in the scores, as they do on such pages."""
    scenario = SCENARIOS[name]
    policy = {"granularity": scenario.kind if units else "weight", "scope": "layer"}
    shown, listed = drawn(scenario), drawn(scenario)
    masks = Masks(listed, scenario, policy)
    for level in (0.55,) if units else (0.3, 0.55):
        tutorial.cut(shown, scenario, policy, level)
        masks.cut(level)
    found, expected = zeros(shown), zeros(listed)
    followers = {f"{u.follower}.weight" for u in scenario.units} if units else set()
    assert all(torch.equal(found[key], expected[key]) for key in expected.keys() - followers)
    x = torch.rand(2, *SHAPES[name])
    assert torch.allclose(shown.eval()(x), listed.eval()(x), atol=1e-5)


def test_images_are_the_same_for_all() -> None:
    (x, y), _ = raw(DIGITS, None)
    train, val, test = tutorial.loaders(DIGITS, None)
    seen = torch.cat([batch[0] for loader in (train, val) for batch in loader])
    assert len(y) == len(seen) and len(next(iter(test))[0]) == 256
    assert seen.double().sum().item() == pytest.approx((x / 255).double().sum().item())


def ended(policy: dict[str, Any]) -> dict[str, tuple[float, float, int]]:
    """Validation accuracy, test accuracy and parameters of a policy, by contestant; dead units count as they do for the peers."""
    runner = TrialRunner.from_task(digits(), EngineSpec("digits", device="cpu", epochs=policy["epochs"]))
    result = runner.run(Job(0, Policy.parse(policy), policy["epochs"], seed=0))
    measures = result.measures
    assert measures is not None and measures.test_accuracy is not None
    masked = runner.describe().params - sum(row.total - row.kept for row in result.layers)
    left = masked if policy["granularity"] == "weight" else measures.params
    assert measures.params <= left
    peers: dict[str, Any] = {
        "tutorial": tutorial.Objective(DIGITS, None),
        "expert": expert.Objective(DIGITS, expert.Data(DIGITS, None), listed=True),
    }
    found = {}
    for name, objective in peers.items():
        torch.manual_seed(0)
        found[name] = objective.run(copy.deepcopy(policy))
    return {**found, "prunesearch": (measures.accuracy, measures.test_accuracy, left)}


@pytest.mark.parametrize("policy", one_of_each(DIGITS.policies()), ids=lambda p: str(p.get("function", "rewinding")))
def test_a_policy_ends_alike(policy: dict[str, Any]) -> None:
    found = ended(policy)
    accuracies = [test for _, test, _ in found.values()]
    assert max(accuracies) - min(accuracies) < 0.1
    assert min(accuracies) > 0.6
    assert found["expert"][2] == found["prunesearch"][2]
    if policy["granularity"] == "weight":
        assert found["tutorial"][2] == found["prunesearch"][2]


class OurBatches(expert.Data):
    """The images of an expert's script, in the split and in the order of prunesearch."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(DIGITS, None, tuned=True)
        self._splits, self._epoch = prepared.splits, 0
        self.train, self.val, self.test = (whole(b) for b in (self._splits.train, self._splits.val, self._splits.test))

    def shuffled(self) -> Iterator[Pair]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        return self._splits.train.shuffled(0, epoch)


def whole(batches: Batches | None) -> Pair:
    """All of a split, in order."""
    assert batches is not None
    x, y = zip(*batches.ordered(), strict=True)
    return torch.cat(x), torch.cat(y)


@pytest.mark.parametrize("function", ["one_shot_static", "gradual", "iterative", None])
def test_from_equal_values_and_batches_the_expert_comes_to_the_same_figures(
    function: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the two differ in is what they draw: the split, the initial values and the order."""
    listed = next(p for p in one_of_each(DIGITS.policies()) if p.get("function") == function)
    policy = {**listed, "granularity": "weight", "epochs": 4, "epoch_threshold": 1}
    spec = EngineSpec("digits", device="cpu", epochs=4)
    prepared = prepare(digits(), "digits", seed=0, device=torch.device("cpu"), epochs=4)
    monkeypatch.setattr(expert, "network", lambda _: prepared.fresh(0))
    longer = replace(DIGITS, epochs=4)
    found = expert.Objective(longer, OurBatches(prepared), listed=True).run(policy)
    measures = TrialRunner.from_task(digits(), spec).run(Job(0, Policy.parse(policy), 4, seed=0)).measures
    assert measures is not None
    assert found[:2] == (measures.accuracy, measures.test_accuracy)

"""Every allowed schedule x granularity x scope x recovery does what it says; any valid policy on any network runs or is refused.

The whole matrix is run by hand (`python -m tests.pruning.conformance`, minutes) and stands in docs/policies.md; here the MLP's
part of it and a sample of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.optim import SGD

from prunesearch import rules
from prunesearch.errors import InfeasibleError, PolicyError
from prunesearch.hyperparameters import FUNCTIONS, HYPERPARAMETERS, SCHEDULE_TYPES
from prunesearch.models.cnn import cnn84, digits_cnn
from prunesearch.models.mlp import mlp
from prunesearch.policy import Policy
from prunesearch.pruning import finishing
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.enforcing import Enforcer
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.pruning.session import PruningSession
from tests.pruning.conformance import Case, cases, examine, policies
from tests.pruning.networks import NETWORKS, Network

WHOLE = cases()
SAMPLE = [c for c in WHOLE if c.subject == "MLP"] + [c for c in WHOLE if c.subject != "MLP"][::31]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_every_composition_does_what_it_says(case: Case) -> None:
    assert examine(case).problems == ()


def test_the_page_holds_the_whole_matrix_and_nothing_is_wrong_in_it() -> None:
    page = PAGE.read_text(encoding="utf-8").partition("<!-- generated: matrix -->")[2].partition("<!-- end")[0]
    right = [
        tuple(map(int, cell.split(" of "))) for line in page.splitlines() for cell in line.split(" | ") if " of " in cell[:8]
    ]
    assert sum(total for _, total in right) == len(WHOLE) == 39 * 8
    assert all(some == total for some, total in right)


NEURONS = {p.function: Case("MLP", p) for p in policies("neuron") if p.scope == "layer" and p.recovery == "keep"}


def test_masks_that_are_not_held_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Enforcer, "hold_weights", lambda self: None)
    assert any("a mask does not hold" in told for told in examine(NEURONS["gradual"]).problems)


def test_a_wrong_cut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        finishing, "physical_cut", lambda m, groups, gone: physical_cut(m, groups, {n: g.roll(1) for n, g in gone.items()})
    )
    told = " ".join(examine(NEURONS["one_shot_static"]).problems)
    assert "masked and cut network differ" in told and "trained apart" in told


ANY: Mapping[str, Network] = {
    **{name: network for name, network in NETWORKS.items() if name != "squeeze"},  # its output is an image
    "digits-mlp": Network(lambda: mlp((64, 32, 16, 10)), (64,), {}),
    "cnn84": Network(cnn84, (1, 28, 28), {}),
    "digits-cnn": Network(digits_cnn, (1, 8, 8), {}),
}
"""Networks of the tests, and built-in ones: LeNet-5 and ResNet-20 are among the former."""


@cache
def groups_of(name: str) -> Groups:
    return find_groups(ANY[name].make(), ANY[name].example())


def train(session: PruningSession, network: Network, optimizer: SGD) -> Iterator[int]:
    x = network.example(8)
    for epoch in range(session.policy.epochs):
        session.before_epoch(epoch, accuracy=0.5)
        session.model.train()
        for _ in range(2):
            optimizer.zero_grad()
            out = session.model(x)
            functional.cross_entropy(out, torch.arange(8) % out.shape[1]).backward()
            optimizer.step()
            session.after_step()
            yield epoch


def session_of(name: str, policy: Policy) -> tuple[PruningSession, Network, SGD]:
    network = ANY[name]
    torch.manual_seed(0)
    model = network.make()
    optimizer = SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def losses(count: int) -> Iterator[torch.Tensor]:
        x = network.example(8)
        return (functional.cross_entropy(model(x), torch.zeros(8, dtype=torch.long)) for _ in range(count))

    session = PruningSession(
        model, policy, optimizer=optimizer, example_input=network.example(), groups=groups_of(name), losses=losses
    )
    return session, network, optimizer


@st.composite
def drawn_policies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Fields from the whole space of policies, valid ones mostly, on any network."""
    fields: dict[str, Any] = {"epochs": draw(st.integers(0, 3)), "schedule_type": draw(st.sampled_from(SCHEDULE_TYPES))}
    fields["granularity"] = draw(st.sampled_from(sorted(HYPERPARAMETERS["granularity"].choices)))
    if fields["schedule_type"] != "rewind_pruning":
        fields["function"] = draw(st.sampled_from(FUNCTIONS))
    for name in ("scope", "criterion", "recovery", "lr_restart"):
        words = rules.choices(name, fields)
        if words:
            fields[name] = draw(st.sampled_from(words))
    fields["epoch_threshold"] = draw(st.integers(0, fields["epochs"]))
    fields["min_units"] = draw(st.integers(1, 3))
    used = rules.used(fields)
    for name in ("threshold", "weight_threshold"):
        if name in used:
            fields[name] = draw(st.floats(0.0, 0.99))
    if "ratio" in used:
        fields["ratio"] = {"default": draw(st.floats(0.0, 0.99))}
    for name in ("converge_over", "prune_iter", "rewind_to"):
        if name in used:
            fields[name] = draw(st.integers(*rules.bounds(name, fields)))
    if fields["granularity"] != "weight":
        fields["round_to"] = draw(st.sampled_from([1, 1, 2, 4]))
    return draw(st.sampled_from(list(ANY))), fields


@settings(max_examples=200)
@given(drawn_policies())
def test_any_policy_runs_or_is_refused_with_a_reason(drawn: tuple[str, dict[str, Any]]) -> None:
    name, fields = drawn
    try:
        session, network, optimizer = session_of(name, Policy.parse(fields))
        for _ in train(session, network, optimizer):
            assert 0.0 <= session.sparsity < 1.0
        finished = session.finish(0.5)
    except (PolicyError, InfeasibleError) as error:
        event(str(error).split(":")[0])
        return
    assert finished.masked_difference <= 1e-5
    assert all(row.kept >= min(session.policy.min_units, row.total) for row in finished.layers)
    assert finished.infeasible in (None, "the policy removed nothing") or "collapsed" in str(finished.infeasible)

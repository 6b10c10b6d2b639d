"""Every allowed schedule x granularity x scope x recovery on three kinds of networks: runs, reaches, holds, equals its cut.

And any valid policy on any network: it runs, or is refused with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
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
from prunesearch.models.resnet import resnet
from prunesearch.policy import Policy
from prunesearch.pruning.groups import Groups, find_groups
from prunesearch.pruning.session import PruningSession
from tests.pruning.networks import NETWORKS, Network

EPOCHS, LEVEL = 4, 0.6
SMALL = {
    "mlp": NETWORKS["mlp"],
    "lenet5": NETWORKS["lenet5"],
    "resnet8": Network(lambda: resnet(8), (3, 8, 8), {}),
}
GRANULARITIES = {"mlp": ("weight", "neuron"), "lenet5": ("weight", "neuron", "filter", "unit"), "resnet8": ("weight", "filter")}


@cache
def groups_of(name: str) -> Groups:
    network = SMALL.get(name) or NETWORKS[name]
    return find_groups(network.make(), network.example())


def branches() -> Iterator[dict[str, Any]]:
    """All compositions that the rules allow."""
    for kind in SCHEDULE_TYPES:
        for function in rules.choices("function", {"schedule_type": kind}) or (None,):
            chosen = {"schedule_type": kind} | ({"function": function} if function else {})
            for scope in rules.choices("scope", chosen) or (None,):
                for recovery in rules.choices("recovery", chosen):
                    yield chosen | ({"scope": scope} if scope else {}) | {"recovery": recovery}


def policies(granularity: str) -> Iterator[Policy]:
    for branch in branches():
        used = rules.used(branch)
        amounts = {
            "threshold": LEVEL,
            "ratio": {"default": LEVEL},
            "weight_threshold": 0.01 if granularity == "weight" else 0.95,
            "converge_over": 2,
            "prune_iter": 2,
            "threshold_step": 0.1,
        }
        fields = branch | {k: v for k, v in amounts.items() if k in used}
        yield Policy.parse({"epochs": EPOCHS, "epoch_threshold": 1, "granularity": granularity, **fields})


CASES = [(name, policy) for name, kinds in GRANULARITIES.items() for kind in kinds for policy in policies(kind)]


def label(case: tuple[str, Policy]) -> str:
    name, policy = case
    parts = (name, policy.granularity, policy.schedule_type, policy.function, policy.scope, policy.recovery)
    return "-".join(part for part in parts if part)


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
    network = SMALL.get(name) or NETWORKS[name]
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


@pytest.mark.parametrize(("name", "policy"), CASES, ids=[label(case) for case in CASES])
def test_every_composition_does_what_it_says(name: str, policy: Policy) -> None:
    session, network, optimizer = session_of(name, policy)
    masked = {n: 0 for n, _ in session.model.named_parameters()}
    for _ in train(session, network, optimizer):
        now = {n: int((p == 0).sum()) for n, p in session.model.named_parameters()}
        if policy.function != "one_shot" and policy.recovery == "keep":
            assert all(now[n] >= count for n, count in masked.items())
            masked = now
    finished = session.finish(0.5)
    assert finished.infeasible is None and finished.masked_difference <= 1e-5
    chosen = {g.name: g for g in groups_of(name).chosen(policy)}
    rows = [row for row in finished.layers if row.name in chosen]
    if policy.schedule_type == "magnitude_percentage":
        gone = [row.total - row.kept for row in rows]
        if policy.scope == "global":
            assert sum(gone) == math.floor(sum(row.total for row in rows) * LEVEL + 1e-9) or "min_units" in str(finished.notes)
        else:
            assert gone == [math.floor(row.total * LEVEL + 1e-9) for row in rows]
    if policy.is_unit:
        widths = {g: session.model.get_parameter(f"{g}.weight").shape[0] for g in chosen}
        assert widths == {row.name: row.kept for row in rows}


@st.composite
def drawn_policies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Fields from the whole space of policies, valid ones mostly, on any network."""
    fields: dict[str, Any] = {"epochs": draw(st.integers(0, 3)), "schedule_type": draw(st.sampled_from(SCHEDULE_TYPES))}
    fields["granularity"] = draw(st.sampled_from(HYPERPARAMETERS["granularity"].choices))
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
    return draw(st.sampled_from([n for n in NETWORKS if n not in ("lenet5", "resnet20", "squeeze")])), fields


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

"""The proofs: budgets are those of networks that are really cut, validation chooses, repetitions are those of `run`."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import prunesearch as ps
from benchmarks.brief import speed
from benchmarks.proof import budgets, cnn84, field
from benchmarks.proof.page import MODULES, PAGE, README, Summary, build, joined
from benchmarks.proof.repeats import DENSE, SEEDS, repeat, repeats_of
from benchmarks.proof.searches import Where, chosen
from benchmarks.record import Record
from prunesearch.errors import UsageError
from prunesearch.models import mlp
from prunesearch.policy import Policy
from prunesearch.schedules.markdown import with_block
from prunesearch.spec import StudySpec


@pytest.mark.parametrize("k", budgets.LEVELS)
def test_the_budget_of_units_is_what_the_smaller_network_holds(k: float) -> None:
    hidden = [round(n * (1 - k)) for n in budgets.WIDTHS[1:-1]]
    smaller = mlp((budgets.WIDTHS[0], *hidden, budgets.WIDTHS[-1]), bias=False)
    assert budgets.allowed("unit", k) == sum(p.numel() for p in smaller.parameters())


@pytest.mark.parametrize("k", [0.25, 0.9, 0.99])
def test_the_budget_of_weights_is_what_torch_leaves(k: float) -> None:
    network = mlp(budgets.WIDTHS, bias=False)
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    for layer in layers[:-1]:
        prune.l1_unstructured(layer, "weight", amount=k)
    left = sum(int(torch.count_nonzero(m.weight)) for m in layers)
    assert budgets.allowed("weight", k) == pytest.approx(left, abs=4)  # torch rounds what we floor


def test_half_of_the_neurons_are_two_thirds_of_the_parameters() -> None:
    assert budgets.allowed("unit", 0.5) / budgets.allowed("unit", 0.0) == pytest.approx(0.33, abs=0.01)


@pytest.mark.parametrize("kind", budgets.KINDS)
def test_a_policy_serves_no_budget_that_it_may_break(kind: str) -> None:
    for k in budgets.LEVELS:
        assert budgets.allowed(kind, budgets.anchor(kind, k)) <= budgets.allowed(kind, k)


@pytest.mark.parametrize("data", budgets.TITLES)
def test_the_policies_tried_first_fit_the_budgets_that_they_are_meant_for(data: str) -> None:
    for ratio in (Policy.parse({**p, "epochs": 4}).ratio or {} for p in StudySpec.find(f"{data}-mlp1000-unit").start):
        widths = [n - int(n * ratio[f"fc{i}"] + 1e-9) for i, n in enumerate(budgets.WIDTHS[1:-1], 1)]
        left = [budgets.WIDTHS[0], *widths, 10]
        params = sum(a * b for a, b in pairwise(left))
        nearest = max(a for a in budgets.ANCHORS["unit"] if budgets.allowed("unit", a) >= params)
        assert params > 0.75 * budgets.allowed("unit", nearest)


def trial(number: int, params: int, accuracy: float, **more: Any) -> dict[str, Any]:
    policy = {"granularity": "weight", **more.pop("policy", {})}
    return {"trial": number, "state": "complete", "params": params, "accuracy": accuracy, "policy": policy, **more}


def test_validation_chooses_among_what_fits() -> None:
    trials = [
        trial(0, 90, 0.97, test_accuracy=0.99),
        trial(1, 100, 0.98, test_accuracy=0.90),
        trial(2, 95, 0.98, test_accuracy=0.91),
        trial(3, 101, 0.99),
        trial(4, 50, 0.99, state="infeasible"),
        trial(5, 80, 0.985, policy={"granularity": "filter"}),
    ]
    found = chosen({"trials": trials}, 100, granularity="weight")
    assert found is not None and found["trial"] == 2
    best = chosen({"trials": trials}, 100)
    assert best is not None and best["trial"] == 5
    assert chosen({"trials": trials}, 10) is None


def test_controls_leave_as_much_as_the_policy_that_they_are_held_against() -> None:
    policy = Policy(epochs=20, function="gradual", scope="global", threshold=0.9, converge_over=5, prune_output_layer=True)
    left = {"fc1": [10_000, 235_200], "fc2": [5_000, 30_000], "fc3": [900, 1_000]}
    search = {"trials": [trial(0, 16_310, 0.98, left=left, policy=policy.to_dict())]}
    made = field.policies(search, field.NETS["lenet300"], [12])
    assert set(field.policies(search, field.NETS["lenet300"])) == {"12x"}
    assert set(made) == {"12x", "12x random", "12x uniform magnitude", "12x from scratch"}
    assert made["12x"] == policy and made["12x random"].criterion == "random"
    uniform = made["12x uniform magnitude"].threshold
    assert uniform is not None and 266_200 * (1 - uniform) == pytest.approx(15_900)
    scratch = made["12x from scratch"]
    assert scratch.epoch_threshold == 0 and scratch.ratio == pytest.approx({n: 1 - k / t for n, (k, t) in left.items()})


def test_one_row_per_system_and_cut() -> None:
    first, second = Summary("a", "half", "1", like="2", command="x"), Summary("a", "half", "1", searched="4", command="y")
    rows = [first, Summary("b", "half", "3"), second, Summary("a", "all", "5")]
    assert joined(rows) == [Summary("a", "half", "1", "2", "4", "x<br>y"), Summary("a", "all", "5"), Summary("b", "half", "3")]


def test_what_several_rows_say_alike_is_said_once() -> None:
    (row,) = joined([Summary("a", "half", text) for text in ("1", "2", "1", "3", "2")])
    assert row.published == "1<br>2<br>3"


class Measured(ModuleType):
    """A module of the page, as far as the builder sees it."""

    def section(self) -> str:
        return "## " + self.__name__

    def summary(self) -> list[Summary]:
        return [Summary(self.__name__, "half", "97 %", searched="98 %", command="`prunesearch search it`")]


def test_a_page_gets_its_sections_in_order_and_keeps_the_rest(tmp_path: Path) -> None:
    page, readme = tmp_path / "results.md", tmp_path / "README.md"
    for path in (page, readme):
        path.write_text("before\n\n<!-- generated: results -->\nold\n<!-- end of generated -->\n\nafter\n")
    build([Measured("one"), Measured("two")], page, readme)
    block = "before\n\n<!-- generated: results -->\n\n## one\n\n## two\n\n<!-- end of generated -->\n\nafter\n"
    assert page.read_text() == block
    assert "| one | half | 97 % | - | 98 % | `prunesearch search it` |" in readme.read_text()
    (tmp_path / "bare.md").write_text("no marks")
    with pytest.raises(UsageError, match="no block"):
        build([Measured("one")], tmp_path / "bare.md", readme)


@pytest.mark.parametrize("module", [budgets, cnn84, field])
def test_a_proof_that_was_not_made_says_nothing(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stored", lambda _name: [])
    assert module.section() == ""
    assert module.summary() == []


@pytest.mark.slow
def test_repetitions_are_those_of_run_and_none_is_made_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    policy = Policy(epochs=2, function="one_shot_static", threshold=0.8, epoch_threshold=1)
    record, where = Record("proof_test", tmp_path), Where(tmp_path / "work")
    repeat(record, "digits-mlp", {"mine": policy, "the same": policy}, where)
    ran = ps.run(policy, task="digits-mlp", seed=SEEDS[0], seeds=len(SEEDS))
    for label in ("mine", "the same"):
        found = repeats_of(record.runs, "digits-mlp", label)
        assert [r["seed"] for r in found] == list(SEEDS)
        assert [r["test_accuracy"] for r in found] == [r.measures.test_accuracy for r in ran.results if r.measures]
    dense = [r["test_accuracy"] for r in repeats_of(record.runs, "digits-mlp", DENSE)]
    assert dense == [d.measures.test_accuracy for d in ran.references][: len(dense)]
    capfd.readouterr()
    repeat(record, "digits-mlp", {"mine": policy, "the same": policy}, where)
    assert capfd.readouterr().out == ""


def test_the_page_is_made_of_what_is_on_record(tmp_path: Path) -> None:
    copies = [tmp_path / path.name for path in (PAGE, README)]
    for path, copy in zip((PAGE, README), copies, strict=True):
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    build([import_module(f"benchmarks.proof.{name}") for name in MODULES], *copies)
    for path, copy in zip((PAGE, README), copies, strict=True):
        assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), "python -m benchmarks results_page"


def test_the_times_in_the_readme_are_those_on_record() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_block(text, "speed", speed()) == text, "python -m benchmarks results_page"

"""Criteria from outside: registered by a call or by a file, then known to policies like our own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import prunesearch as ps
from prunesearch.criteria import BUILT_IN, CRITERIA, CriterionInfo, load_criterion, load_plugin, register_score
from prunesearch.criteria.base import Part
from prunesearch.errors import PolicyError, StudyError, UsageError
from prunesearch.policy import Policy

FILE = """
from prunesearch.criteria import CriterionInfo, register_score


def spread(parts, generator):
    return parts[0].weight.amax(1) - parts[0].weight.amin(1)


register_score(CriterionInfo("spread", "largest w - smallest w", "a test", weights=False), spread)
"""


pytestmark = pytest.mark.usefixtures("plugins_forgotten")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my_criteria.py"
    path.write_text(FILE)
    return path


def negative(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    return -parts[0].weight.abs().sum(1)


def other(parts: Sequence[Part], _generator: torch.Generator) -> torch.Tensor:
    return parts[0].weight.sum(1)


NEGATIVE = CriterionInfo("negative", "- sum of |w|", "a test")


def test_a_registered_score_is_known_to_policies_and_found_again() -> None:
    with pytest.raises(PolicyError, match="'negative' is unknown"):
        Policy.parse({"epochs": 1, "criterion": "negative"})
    register_score(NEGATIVE, negative)
    assert Policy.parse({"epochs": 1, "criterion": "negative"}).criterion == "negative"
    assert load_criterion("negative") is negative


def test_a_file_registers_what_it_holds(plugin: Path) -> None:
    assert load_plugin(plugin) == ("spread",)
    found = load_criterion("spread")([Part("w", "out", torch.tensor([[1.0, -2.0], [5.0, 5.5]]))], torch.Generator())
    assert found.tolist() == [3.0, 0.5]
    with pytest.raises(PolicyError, match="criterion: 'spread' does not go with granularity 'weight'"):
        Policy.parse({"epochs": 1, "criterion": "spread"})
    assert Policy.parse({"epochs": 1, "criterion": "spread", "granularity": "neuron"}).criterion == "spread"


def test_a_file_runs_once_however_its_path_is_written(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_plugin(plugin)
    first = load_criterion("spread")
    monkeypatch.chdir(plugin.parent)
    assert load_plugin("my_criteria.py") == ("spread",)
    assert load_criterion("spread") is first


def test_a_cell_run_twice_replaces_its_own_function() -> None:
    register_score(NEGATIVE, negative)
    register_score(NEGATIVE, negative)
    assert load_criterion("negative") is negative


def test_two_plugins_cannot_share_a_name() -> None:
    register_score(NEGATIVE, negative)
    with pytest.raises(UsageError, match="'negative' is registered twice"):
        register_score(NEGATIVE, other)
    with pytest.raises(UsageError, match="'negative' is registered twice"):
        register_score(CriterionInfo("negative", "another", "a test"), negative)
    assert load_criterion("negative") is negative


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_our_own_names_are_taken(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is registered twice"):
        register_score(CRITERIA[name], negative)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no Python file that can be loaded"),
        ("x = 1\n", "registers no criterion"),
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def broken(:\n", "SyntaxError"),
        (FILE.replace('"spread"', '"l1"'), "'l1' is registered twice"),
    ],
)
def test_a_file_that_does_not_work_is_told_with_its_reason(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "broken.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_plugin(path)


def test_a_file_that_failed_half_way_loads_once_it_is_mended(plugin: Path) -> None:
    plugin.write_text(FILE + "\n1 / 0\n")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_plugin(plugin)
    plugin.write_text(FILE)
    assert load_plugin(plugin) == ("spread",)


def test_the_plugin_that_the_documentation_shows_works(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parent.parent.parent / "docs" / "policies.md"
    [shown] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "my_criteria.py"
    path.write_text(shown)
    assert load_plugin(path) == ("spread",)
    parts = [Part("w", "out", torch.tensor([[1.0, -2.0], [5.0, 5.5]])), Part("b", "bias", torch.tensor([[9.0], [9.0]]))]
    assert load_criterion("spread")(parts, torch.Generator()).tolist() == [3.0, 0.5]


def test_a_study_searches_a_criterion_of_a_file(plugin: Path, tmp_path: Path) -> None:
    study, store = tmp_path / "mine.yaml", f"sqlite:///{tmp_path / 'studies.db'}"
    said = "task: iris-mlp\nepochs: 8\ntrials: 2\nengine: serial\nobjectives: [accuracy, params]\n"
    study.write_text(said + "space: {granularity: neuron, criterion: spread, function: one_shot_static, threshold: [0.1, 0.3]}\n")
    with pytest.raises(StudyError, match=r"space\.criterion: 'spread' is unknown; known: bn_scale, "):
        ps.search(study, store=store)
    found = ps.search(study, plugin=[str(plugin)], store=store)
    assert {row.policy.criterion for row in found} == {"spread"}


def test_names_and_registration_need_no_torch() -> None:
    code = "import sys, prunesearch.criteria as c; assert 'l1' in c.CRITERIA; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

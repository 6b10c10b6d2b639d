"""The ready studies: each is valid, says what it is for, and its space and start policies fit its network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prunesearch.engines import EngineSpec, open_engine
from prunesearch.search.opening import resolved
from prunesearch.search.space import SearchSpace
from prunesearch.search.start import start_policies
from prunesearch.spec import StudySpec, ready_studies
from prunesearch.sweeps import schedule_candidates
from prunesearch.tasks.catalogue import builtin_tasks

READY = sorted(ready_studies().items())
SYSTEMS = {
    "prunpy": ("mnist-mlp32",),
    "Ways to prune": ("moons", "circles"),
    "NeuralNetPruning": ("mnist-mlp1000-weight", "mnist-mlp1000-unit"),
    "Network Pruning": ("mnist-cnn84", "iris"),
    "Keras pruning": ("fashion-mlp1000-weight", "fashion-mlp1000-unit"),
}
"""Published system -> ready studies of its networks."""


@pytest.mark.parametrize(("name", "path"), READY)
def test_a_ready_study_is_valid_and_says_what_it_is_for(name: str, path: Path) -> None:
    spec = StudySpec.load(path)
    assert spec.name == name
    assert spec.task in builtin_tasks()
    assert 10 < len(spec.description) < 90
    assert path.read_text().startswith("# ")
    assert StudySpec.parse(spec.to_dict()) == spec


@pytest.mark.parametrize(("name", "path"), READY)
def test_its_start_policies_lie_in_the_space_that_its_network_has(name: str, path: Path) -> None:
    spec = StudySpec.load(path)
    with open_engine("fake", EngineSpec(spec.task, spec.epochs)) as engine:
        info = engine.describe()
    full = resolved(spec, spec.trials, None, info)
    start = start_policies(full, SearchSpace.of(full, info))
    assert len(start) == len(spec.start) or not spec.start
    assert start


def test_the_first_search_is_there() -> None:
    assert StudySpec.find("quickstart").workers == 2


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_published_system_has_its_study_and_is_named_in_it(system: str) -> None:
    said = [re.sub(r"[#\s]+", " ", ready_studies()[name].read_text()) for name in SYSTEMS[system]]
    assert any(f'"{system}"' in text or f" {system}'s " in text for text in said)


def test_the_study_of_prunpy_starts_from_the_schedules_that_the_grid_compares() -> None:
    spec = StudySpec.find("mnist-mlp32")
    with open_engine("fake", EngineSpec(spec.task, spec.epochs)) as engine:
        grid = [c.policy for c in schedule_candidates(engine.describe(), [0.9]) if c.policy]
    wanted = {(p.schedule_type, p.function) for p in grid}
    start = [(str(p["schedule_type"]), p.get("function")) for p in spec.start]
    assert set(start) == wanted
    assert len(start) == len(wanted) == 7

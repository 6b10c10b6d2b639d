"""The ready studies: each is valid, says what it is for, and its space and start policies fit its network."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunesearch.engines import EngineSpec, open_engine
from prunesearch.search.opening import resolved
from prunesearch.search.space import SearchSpace
from prunesearch.search.start import start_policies
from prunesearch.spec import StudySpec, ready_studies
from prunesearch.tasks.catalogue import builtin_tasks

READY = sorted(ready_studies().items())


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

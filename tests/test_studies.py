"""The ready studies: each is valid, says what it is for, and starts from policies that its own space could sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunesearch.policy import Policy
from prunesearch.spec import StudySpec, ready_studies
from prunesearch.tasks.catalogue import builtin_tasks

EPOCHS = 10  # for studies that leave N to their task
WEIGHTS_ONLY = {"prune_bias", "prune_output_layer"}
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
def test_the_policies_tried_first_lie_inside_the_space(name: str, path: Path) -> None:
    spec = StudySpec.load(path)
    for start in spec.start:
        policy = Policy.parse({"epochs": spec.epochs or EPOCHS, **start}, name)
        for field, found in spec.space.items():
            if field in WEIGHTS_ONLY and policy.is_unit:
                continue
            value = policy.present().get(field)
            if value is not None and found.choices is not None:
                assert value in found.choices, field
            elif isinstance(value, float) and found.low is not None and found.high is not None:
                assert found.low <= value <= found.high, field


def test_the_first_search_is_there() -> None:
    assert StudySpec.find("quickstart").workers == 2

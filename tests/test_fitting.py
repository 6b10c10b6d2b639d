"""Which groups a policy prunes, told of plain data; networks are in tests/pruning/test_groups.py."""

from __future__ import annotations

from typing import Any

import pytest

from prunesearch.fitting import chosen_groups
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo

SUM = GroupInfo("stem", "filter", ("stem.weight", "block.conv2.weight"), 8, 800, layers=("stem", "block.conv2"))
ALONE = GroupInfo("block.conv1", "filter", ("block.conv1.weight",), 8, 800, layers=("block.conv1",))
TOLD = [("stem", "stem"), ("block.conv2", "stem"), ("*.conv2", "stem"), ("block.conv1", "block.conv1")]


def chosen(**fields: Any) -> list[str]:
    policy = Policy.parse({"epochs": 4, "granularity": "filter", "threshold": 0.5, **fields})
    return [group.name for group in chosen_groups((SUM, ALONE), policy)]


@pytest.mark.parametrize(("glob", "group"), TOLD)
def test_a_layer_of_a_residual_sum_means_its_group(glob: str, group: str) -> None:
    assert chosen(only=[glob]) == [group]
    assert chosen(spare=[glob]) == [name for name in ("stem", "block.conv1") if name != group]

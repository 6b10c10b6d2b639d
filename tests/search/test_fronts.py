"""The growing front: changes are seen, and only one's own folders off the front are removed."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prunesearch.front import FrontRow, non_dominated
from prunesearch.policy import Policy
from prunesearch.search.fronts import Growing, prune_folders
from tests.search.parts import dense, measures

WAYS = {"accuracy": "maximize", "params": "minimize"}


def row(number: int, accuracy: float, params: int) -> FrontRow:
    return FrontRow(number, measures(accuracy, params), Policy(epochs=1))


def growing(members: tuple[int, ...] = ()) -> Growing:
    return Growing("s", WAYS, dense().measures, "cpu", members)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(50, 95), st.integers(1, 40)), max_size=25))
def test_every_change_is_seen_and_nothing_else(points: list[tuple[int, int]]) -> None:
    front = growing()
    rows: list[FrontRow] = []
    before: tuple[int, ...] = ()
    for number, (accuracy, params) in enumerate(points):
        rows.append(row(number, accuracy / 100, params * 100))
        front.put(rows[-1])
        members = tuple(sorted(r.trial for r in non_dominated(rows, WAYS)))  # type: ignore[arg-type]
        change = front.change()
        assert (change.members if change else before) == members
        assert (change is None) == (members == before)
        before = members
        if change is not None:
            assert front.change() == change  # until it is in the store
            front.settle(change)
        assert front.change() is None and front.members == members


def test_it_knows_which_way_the_metric_is_better() -> None:
    assert growing().front().metric == "maximize"
    assert Growing("s", {"params": "minimize"}, dense().measures, "cpu", metric="minimize").front().metric == "minimize"


def test_what_was_recorded_before_is_no_change() -> None:
    front = growing((1,))
    front.put(row(0, 0.8, 500))
    front.put(row(1, 0.9, 400))
    assert front.change() is None
    front.put(row(2, 0.95, 900))
    change = front.change()
    assert change is not None
    assert change.members == (1, 2)
    assert change.hypervolume is not None and change.hypervolume > 0


def test_only_ones_own_folders_off_the_front_are_removed(tmp_path: Path) -> None:
    for name in ("trial-00001", "trial-00002", "trial-00003", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "trial-00004").symlink_to(tmp_path / "elsewhere")
    removed = prune_folders(tmp_path, mine=[1, 2, 4, 9], members=[2])
    assert [path.name for path in removed] == ["trial-00001"]
    assert {p.name for p in tmp_path.iterdir()} == {"trial-00002", "trial-00003", "other", "elsewhere", "trial-00004"}

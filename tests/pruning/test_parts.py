"""What criteria are shown, against loops over single entries."""

from __future__ import annotations

import pytest
import torch

from prunesearch.pruning.groups import UnitGroup, find_groups
from prunesearch.pruning.parts import Values, parts_of
from prunesearch.pruning.structure import Slice
from tests.pruning.networks import NETWORKS, Network


def entries(tensor: torch.Tensor, piece: Slice, unit: int) -> list[float]:
    """Everything of one unit in one tensor, position after position."""
    positions = [int(i) for i, e in zip(piece.index, piece.element, strict=True) if int(e) == unit]
    return [float(v) for at in positions for v in tensor.select(piece.dim, at).flatten()]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_unit_s_row_holds_what_belongs_to_it(network: Network) -> None:
    model = network.make()
    values = {name: p.detach() for name, p in model.named_parameters()}
    for group in find_groups(model, network.example()).units:
        scored = [piece for piece in group.slices if piece.role]
        for part, piece in zip(parts_of(group, Values(values, initial=values)), scored, strict=True):
            assert (part.name, part.role) == (piece.name, piece.role)
            assert part.initial is not None and torch.equal(part.weight, part.initial)
            for unit in {0, 1, group.info.size // 2, group.info.size - 1}:
                assert part.weight[unit].tolist() == entries(values[piece.name], piece, unit)


def test_only_what_is_left_is_shown() -> None:
    network = NETWORKS["lenet5"]
    model = network.make()
    values = Values({name: p.detach() for name, p in model.named_parameters()})
    groups = find_groups(model, network.example())
    left = torch.arange(500) % 3 == 0
    fc1 = next(g for g in groups.units if g.name == "fc1")
    for whole, some in zip(parts_of(fc1, values), parts_of(fc1, values, left), strict=True):
        assert torch.equal(whole.weight[left], some.weight)
    weights = next(g for g in groups.weights if g.name == "fc2")
    (part,) = parts_of(weights, values, torch.arange(5000) < 7)
    assert torch.equal(part.weight, model.get_parameter("fc2.weight").detach()[0, :7, None])


def test_units_with_unequal_shares_are_filled_up_with_zeros() -> None:
    piece = Slice("w", "in", 1, torch.tensor([0, 1, 2, 4]), torch.tensor([1, 0, 1, 1]))
    group = UnitGroup(find_groups(*_tiny()).units[0].info, (piece,), ())
    tensor = torch.arange(10.0).view(2, 5)
    (part,) = parts_of(group, Values({"w": tensor}))
    assert part.weight.tolist() == [[1, 6, 0, 0, 0, 0], [0, 5, 2, 7, 4, 9]]


def _tiny() -> tuple[torch.nn.Module, torch.Tensor]:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)), torch.randn(2, 3)

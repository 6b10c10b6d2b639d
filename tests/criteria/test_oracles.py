"""Every criterion against somebody else's: torch.nn.utils.prune, Torch-Pruning, autograd, or plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.utils import prune

from prunesearch.criteria import load_criterion
from prunesearch.criteria.base import Part


class Net(nn.Module):
    """conv (with bias) - norm - relu - mean - linear: one group of eight filters in front of the output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Linear(8, 5)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        y = self.norm(self.conv(x))
        y = y if gate is None else y * gate[:, None, None]
        return torch.as_tensor(self.out(torch.relu(y).mean((2, 3))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    made = Net()
    nn.init.normal_(made.norm.weight)
    nn.init.normal_(made.norm.bias)
    return made


def data(seed: int = 1) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(16, 3, 6, 6, generator=draw), torch.randint(5, (16,), generator=draw)


def loss_of(net: Net, batch: tuple[Tensor, Tensor], gate: Tensor | None = None) -> Tensor:
    return nn.functional.cross_entropy(net(batch[0], gate), batch[1])


def score(name: str, parts: list[Part], seed: int = 0) -> Tensor:
    return load_criterion(name)(parts, torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Gradients:
    mean: dict[str, Tensor]
    square: dict[str, Tensor]


def gradients(net: Net, batches: int) -> Gradients:
    """Mean and mean square of the gradients of some batches, by parameter name."""
    rows = [torch.autograd.grad(loss_of(net, data(i)), list(net.parameters())) for i in range(batches)]
    names = [name for name, _ in net.named_parameters()]
    stacks = {name: torch.stack(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return Gradients({n: s.mean(0) for n, s in stacks.items()}, {n: s.square().mean(0) for n, s in stacks.items()})


def unit_parts(net: Net, found: Gradients | None = None, norm: bool = True) -> list[Part]:
    """The group of the eight filters as a session would show it."""
    names = {
        "conv.weight": "out",
        "conv.bias": "bias",
        "norm.weight": "norm_scale",
        "norm.bias": "norm_shift",
        "out.weight": "in",
    }

    def matrix(name: str, tensor: Tensor) -> Tensor:
        return tensor.detach().t() if name == "out.weight" else tensor.detach().reshape(8, -1)

    def made(name: str, tensor: Tensor) -> Part:
        grad = matrix(name, found.mean[name]) if found else None
        square = matrix(name, found.square[name]) if found else None
        return Part(name, names[name], matrix(name, tensor), grad=grad, grad_sq=square)  # type: ignore[arg-type]

    shown = {name: tensor for name, tensor in net.named_parameters() if name in names and (norm or "norm" not in name)}
    return [made(name, tensor) for name, tensor in shown.items()]


def group_of(net: Net) -> tp.Group:
    graph = tp.DependencyGraph().build_dependency(net, example_inputs=data()[0])
    return graph.get_pruning_group(net.conv, tp.prune_conv_out_channels, idxs=list(range(8)))


NORMS = [("l1", 1), ("l2", 2), ("linf", float("inf"))]


@pytest.mark.parametrize(("name", "n"), NORMS)
@pytest.mark.parametrize("amount", [1, 3, 7])
def test_norms_of_units_prune_what_torch_prunes(name: str, n: float, amount: int) -> None:
    torch.manual_seed(4)
    layer = nn.Linear(20, 8)
    gone = score(name, [Part("w", "out", layer.weight.detach())]).argsort()[:amount]
    mask = prune.ln_structured(layer, "weight", amount=amount, n=n, dim=0).weight_mask
    assert set(gone.tolist()) == set((mask[:, 0] == 0).nonzero().flatten().tolist())


@pytest.mark.parametrize("name", ["l1", "l2", "linf", "lamp"])
@pytest.mark.parametrize("amount", [1, 40, 159])
def test_norms_of_weights_prune_what_torch_prunes(name: str, amount: int) -> None:
    """lamp within one layer too: it is the order of |w|."""
    torch.manual_seed(4)
    layer = nn.Linear(20, 8)
    gone = score(name, [Part("w", "out", layer.weight.detach().reshape(-1, 1))]).argsort()[:amount]
    mask = prune.l1_unstructured(layer, "weight", amount=amount).weight_mask
    assert set(gone.tolist()) == set((mask.flatten() == 0).nonzero().flatten().tolist())


@pytest.mark.parametrize("name", ["l1", "l2", "linf", "fpgm", "taylor", "obd"])
def test_two_layers_that_make_a_unit_together_count_like_one_with_all_the_rows(name: str) -> None:
    """As at a residual sum."""
    draws = [torch.randn(9, 12, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]

    def part(columns: slice) -> Part:
        weight, grad, square = (draw[:, columns] for draw in draws)
        return Part("w", "out", weight, grad=grad, grad_sq=square.abs())

    both = [part(slice(0, 8)), part(slice(8, 12))]
    torch.testing.assert_close(score(name, both), score(name, [part(slice(0, 12))]))


def test_for_single_weights_the_three_norms_are_one_bit_for_bit() -> None:
    """Policies that differ in them share a digest, and so a result. Down to numbers whose square is 0 in float32."""
    weight = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0)) * torch.logspace(-38, 30, 10_000)[:, None]
    one, two, most = (score(name, [Part("w", "out", weight)]) for name in ("l1", "l2", "linf"))
    assert torch.equal(one, two)
    assert torch.equal(one, most)


def test_lamp_within_a_layer_orders_like_l1_ties_included() -> None:
    weight = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0)).mul(20).round().div(20)
    assert len(weight.unique()) < 200
    parts = [Part("w", "out", weight)]
    assert torch.equal(score("lamp", parts).argsort(stable=True), score("l1", parts).argsort(stable=True))


@pytest.mark.parametrize(("name", "p", "root"), [("l1", 1, 1.0), ("l2", 2, 0.5)])
def test_norms_of_filters_are_torch_prunings(net: Net, name: str, p: int, root: float) -> None:
    theirs = tp.importance.GroupMagnitudeImportance(p=p, group_reduction="first", normalizer=None)
    torch.testing.assert_close(score(name, unit_parts(net)), theirs(group_of(net)).pow(root))


def test_bn_scale_is_torch_prunings(net: Net) -> None:
    theirs = tp.importance.BNScaleImportance(normalizer=None)(group_of(net))
    torch.testing.assert_close(score("bn_scale", unit_parts(net)), theirs)


def test_bn_scale_of_several_norms_is_their_mean() -> None:
    norms = [Part(f"norm{i}", "norm_scale", torch.tensor([[float(i)], [-3.0]])) for i in (1, 2)]
    assert score("bn_scale", norms).tolist() == [1.5, 3.0]


def test_fpgm_is_torch_prunings_where_theirs_is_a_distance(net: Net) -> None:
    """Torch-Pruning takes distances of |w|^p: the same as ours for weights that are not negative, and p = 1."""
    with torch.no_grad():
        net.conv.weight.abs_()
    theirs = tp.importance.FPGMImportance(p=1, group_reduction="first", normalizer=None)
    torch.testing.assert_close(score("fpgm", unit_parts(net)).float(), theirs(group_of(net)), rtol=1e-4, atol=1e-5)


def test_fpgm_is_the_sum_of_distances_and_equal_units_are_at_none() -> None:
    rows = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)) * 100
    rows[7] = rows[3]
    other = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    flat = torch.cat([rows, other], 1).tolist()
    expected = [sum(math.dist(a, b) for b in flat) for a in flat]
    found = score("fpgm", [Part("a", "out", rows), Part("b", "out", other)])
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)


@pytest.mark.parametrize("normed", [True, False])
def test_taylor_of_units_is_the_squared_gradient_of_a_gate(net: Net, normed: bool) -> None:
    """The gate multiplies a filter's output: its gradient at 1 is the first-order change of the loss, by autograd."""
    if not normed:
        net.norm = nn.Identity()  # type: ignore[assignment]
    gate = torch.ones(8, requires_grad=True)
    [expected] = torch.autograd.grad(sum((loss_of(net, data(i), gate) for i in range(3)), torch.zeros(())) / 3, gate)
    found = score("taylor", unit_parts(net, gradients(net, 3)))
    torch.testing.assert_close(found.float(), expected.square(), rtol=1e-3, atol=1e-9)


def test_taylor_of_filters_is_torch_prunings_squared(net: Net) -> None:
    loss_of(net, data(0)).backward()
    theirs = tp.importance.GroupTaylorImportance(group_reduction="first", normalizer=None, multivariable=True)
    rows = [part for part in unit_parts(net, gradients(net, 1)) if part.role == "out"]
    torch.testing.assert_close(score("taylor", rows).float(), theirs(group_of(net)).square(), rtol=1e-3, atol=1e-12)


def test_taylor_of_weights_is_the_squared_gradient_of_their_gates() -> None:
    connection, weight = gates(lambda w, c: w * c)
    _, grad = gates(lambda w, c: w + 0 * c)
    expected = connection.square()
    assert grad.shape == weight.shape
    torch.testing.assert_close(score("taylor", [weights_part()]).float(), expected, rtol=1e-4, atol=1e-12)


def test_snip_is_the_size_of_the_gradient_of_a_connection() -> None:
    """Lee et al.: |dL / dc| at c = 1, at the initial values, by autograd through the connections themselves."""
    connection, _ = gates(lambda w, c: w * c)
    torch.testing.assert_close(score("snip", [weights_part()]).float(), connection.abs(), rtol=1e-4, atol=1e-7)


X = torch.randn(32, 6, generator=torch.Generator().manual_seed(5))
Y = torch.randint(4, (32,), generator=torch.Generator().manual_seed(6))
W = torch.randn(4, 6, generator=torch.Generator().manual_seed(7))


def gates(connect: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to connections and weights of a linear layer, flat."""
    weight, connection = W.clone().requires_grad_(), torch.ones_like(W).requires_grad_()
    loss = nn.functional.cross_entropy(X @ connect(weight, connection).t(), Y)
    by_connection, by_weight = torch.autograd.grad(loss, [connection, weight])
    return by_connection.flatten(), by_weight.flatten()


def weights_part() -> Part:
    _, grad = gates(lambda w, c: w + 0 * c)
    flat = W.reshape(-1, 1)
    return Part("w", "out", flat, initial=flat, grad=grad[:, None], initial_grad=grad[:, None])


def test_obd_of_filters_is_torch_prunings_hessian_importance(net: Net) -> None:
    """Without the half, and apart from what only one counts: ours the norm's shift, theirs the next layer's columns."""
    found = gradients(net, 4)
    parts = [part for part in unit_parts(net, found) if part.role != "norm_shift"]
    theirs = tp.importance.GroupHessianImportance(group_reduction="sum", normalizer=None, bias=True)
    theirs._accu_grad = {p: found.square[name] for name, p in net.named_parameters() if name != "out.weight"}
    theirs._accu_grad[net.out.weight] = torch.zeros_like(net.out.weight)
    theirs._counter = dict.fromkeys(theirs._accu_grad, 1)
    for name, p in net.named_parameters():
        p.grad = found.mean[name]
    torch.testing.assert_close(2 * score("obd", parts).float(), theirs(group_of(net)))


def test_obd_is_the_exact_change_of_a_diagonal_quadratic_loss() -> None:
    """L = sum of h (w - w*)^2 / 2 at its minimum: removing a unit adds exactly the sum of w^2 h / 2."""
    weight, h = (torch.rand(6, 5, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    removed = [(h * (weight * (torch.arange(6) != i)[:, None] - weight).square() / 2).sum() for i in range(6)]
    torch.testing.assert_close(score("obd", [Part("w", "out", weight, grad_sq=h)]).float(), torch.stack(removed))


def test_magnitude_increase_by_hand() -> None:
    part = Part("w", "out", torch.tensor([[3.0], [-2.0], [0.5]]), initial=torch.tensor([[-1.0], [-2.5], [0.5]]))
    assert score("magnitude_increase", [part]).tolist() == [2.0, -0.5, 0.0]


def lamp_by_loops(weights: list[float]) -> Iterator[float]:
    """The paper's definition: u before v where |u| < |v|, ties by index; w_u^2 over the sum over all v not before u."""
    order = sorted(range(len(weights)), key=lambda i: (abs(weights[i]), i))
    for i in range(len(weights)):
        yield weights[i] ** 2 / math.fsum(weights[j] ** 2 for j in order[order.index(i) :])


def test_lamp_is_the_definition_of_its_paper() -> None:
    weights = [0.3, -0.1, 2.0, 0.3, -0.7, 1e-3, -0.3]
    found = score("lamp", [Part("w", "out", torch.tensor(weights, dtype=torch.float64)[:, None])])
    torch.testing.assert_close(found, torch.tensor(list(lamp_by_loops(weights)), dtype=torch.float64))
    assert found[2] == 1.0


def test_lamp_is_torch_prunings_normalizer() -> None:
    weight = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    theirs = tp.importance.LAMPImportance()._lamp(weight[:, 0].square())
    torch.testing.assert_close(score("lamp", [Part("w", "out", weight)]).float(), theirs, rtol=1e-3, atol=1e-9)


def test_lamp_sees_small_weights_of_a_big_layer() -> None:
    """In float32 the squares below 1e-38 are 0 and the running sum of a million loses the rest."""
    weight = torch.logspace(-25, 0, 100_000, dtype=torch.float64).float()[:, None]
    found = score("lamp", [Part("w", "out", weight)])
    assert (found[1:] > found[:-1]).all()


def test_random_is_uniform_and_follows_its_generator() -> None:
    parts = [Part("w", "out", torch.zeros(100_000, 1))]
    found = score("random", parts, seed=3)
    assert torch.equal(found, torch.rand(100_000, generator=torch.Generator().manual_seed(3)))
    steps = torch.arange(1, 100_001) / 100_000
    assert (found.sort().values - steps).abs().max() < 1.63 / math.sqrt(100_000)  # Kolmogorov-Smirnov at 1 %

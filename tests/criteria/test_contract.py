"""What every criterion keeps, whatever it computes: one suite over all of them, for weights and for units."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from prunesearch.criteria import BUILT_IN, CRITERIA, load_criterion
from prunesearch.criteria.base import Part, Role
from prunesearch.errors import PolicyError

CASES = [(name, kind) for name in sorted(BUILT_IN) for kind in ("weights", "units") if getattr(CRITERIA[name], kind)]
every = pytest.mark.parametrize(("name", "kind"), CASES)
VALUES = ("weight", "initial", "grad", "grad_sq", "initial_grad")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def part(role: Role, n: int, m: int, dtype: torch.dtype, draw: torch.Generator) -> Part:
    tensors = {name: torch.randn(n, m, generator=draw).to(dtype) for name in VALUES}
    tensors["grad_sq"] = tensors["grad_sq"].square()
    return Part(f"layer.{role}", role, **tensors)


def parts_of(kind: str, n: int = 7, dtype: torch.dtype = torch.float32, seed: int = 1) -> list[Part]:
    """A group of weights, or of units made by two layers, with bias, norm and a consumer."""
    draw = generator(seed)
    if kind == "weights":
        return [part("out", n, 1, dtype, draw)]
    shapes: list[tuple[Role, int]] = [("out", 9), ("out", 4), ("bias", 1), ("norm_scale", 1), ("norm_shift", 1), ("in", 5)]
    return [part(role, n, m, dtype, draw) for role, m in shapes]


def mapped(parts: list[Part], change: Any) -> list[Part]:
    """The parts with `change` applied to every tensor of theirs."""
    return [replace(p, **{name: change(getattr(p, name)) for name in VALUES}) for p in parts]


def without(parts: list[Part], *names: str) -> list[Part]:
    none: dict[str, Any] = dict.fromkeys(names)
    return [replace(p, **none) for p in parts]


@every
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_one_finite_number_per_element(name: str, kind: str, n: int, dtype: torch.dtype) -> None:
    score = load_criterion(name)(parts_of(kind, n, dtype), generator())
    assert score.shape == (n,)
    assert score.dtype in (torch.float32, torch.float64)
    assert score.isfinite().all()


@every
def test_inputs_stay_as_they_are(name: str, kind: str) -> None:
    parts = parts_of(kind)
    before = mapped(parts, torch.clone)
    load_criterion(name)(parts, generator())
    for old, new in zip(before, parts, strict=True):
        assert all(torch.equal(getattr(old, value), getattr(new, value)) for value in VALUES)


@every
def test_the_generator_is_the_only_source_of_randomness(name: str, kind: str) -> None:
    score = load_criterion(name)
    torch.manual_seed(1)
    first, state = score(parts_of(kind), generator(3)), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, score(parts_of(kind), generator(3)))
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@every
def test_only_the_random_criterion_depends_on_the_generator(name: str, kind: str) -> None:
    score = load_criterion(name)
    assert torch.equal(score(parts_of(kind), generator(3)), score(parts_of(kind), generator(4))) is (name != "random")


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case[0] != "random"])  # its numbers belong to positions
def test_the_order_of_elements_carries_no_meaning(name: str, kind: str) -> None:
    parts, order = parts_of(kind, 20), torch.randperm(20, generator=generator())
    direct = load_criterion(name)(parts, generator())[order]
    torch.testing.assert_close(load_criterion(name)(mapped(parts, lambda t: t[order]), generator()), direct)


BY_SIZE = [case for case in CASES if case[0] not in ("random", "fpgm", "magnitude_increase")]


@pytest.mark.parametrize(("name", "kind"), BY_SIZE)
def test_a_dead_element_never_outranks_a_living_one(name: str, kind: str) -> None:
    """Masked elements are zeros: they come first wherever the score is one of size."""
    zero = torch.arange(7) == 4
    parts = mapped(parts_of(kind), lambda t: torch.where(zero[:, None], 0.0, t))
    assert load_criterion(name)(parts, generator()).argmin() == 4


@every
def test_a_network_of_zeros_has_scores_too(name: str, kind: str) -> None:
    assert load_criterion(name)(mapped(parts_of(kind), torch.zeros_like), generator()).isfinite().all()


@every
def test_scores_carry_no_graph(name: str, kind: str) -> None:
    parts = [replace(p, weight=p.weight.requires_grad_()) for p in parts_of(kind)]
    assert not load_criterion(name)(parts, generator()).requires_grad


NEEDS = {"taylor": ["grad"], "obd": ["grad_sq"], "snip": ["initial", "initial_grad"], "magnitude_increase": ["initial"]}


@every
def test_what_a_criterion_does_not_need_may_be_missing(name: str, kind: str) -> None:
    spare = [value for value in VALUES[1:] if value not in NEEDS.get(name, [])]
    full = load_criterion(name)(parts_of(kind), generator())
    assert torch.equal(load_criterion(name)(without(parts_of(kind), *spare), generator()), full)


@pytest.mark.parametrize(("name", "need"), [(name, need) for name, needs in NEEDS.items() for need in needs])
def test_what_a_criterion_needs_and_lacks_is_an_error_that_says_so(name: str, need: str) -> None:
    parts = without(parts_of("weights"), need)
    words = {"initial": "initial values", "grad": "gradients", "grad_sq": "squared gradients", "initial_grad": "at the initial"}
    with pytest.raises(PolicyError, match=rf"criterion '{name}' needs .*{words[need]}.* of 'layer.out'") as caught:
        load_criterion(name)(parts, generator())
    assert caught.value.hint


def test_the_catalogue_says_the_same_of_needs() -> None:
    for info in (CRITERIA[name] for name in BUILT_IN):
        needs = NEEDS.get(info.name, [])
        assert bool(info.gradient_batches) is any("grad" in need for need in needs)
        assert info.initial is any("initial" in need for need in needs)


def test_bn_scale_without_a_norm_is_an_error() -> None:
    parts = [p for p in parts_of("units") if not p.role.startswith("norm")]
    with pytest.raises(PolicyError, match=r"needs a norm layer behind the units of 'layer\.out'"):
        load_criterion("bn_scale")(parts, generator())


@pytest.mark.parametrize("name", [name for name in sorted(BUILT_IN) if not CRITERIA[name].units])
def test_criteria_of_weights_refuse_units(name: str) -> None:
    with pytest.raises(PolicyError, match=f"'{name}' ranks single weights, not units"):
        load_criterion(name)(parts_of("units"), generator())


@pytest.mark.parametrize("name", ["l1", "l2", "linf", "fpgm", "taylor", "obd", "random"])
def test_units_that_nothing_produces_are_an_error(name: str) -> None:
    parts = [p for p in parts_of("units") if p.role != "out"]
    with pytest.raises(PolicyError, match=f"'{name}' found no weights that produce"):
        load_criterion(name)(parts, generator())


@pytest.mark.parametrize("name", ["l1", "l2", "linf", "lamp"])
def test_a_single_part_is_ranked_whatever_its_role(name: str) -> None:
    """With prune_bias a group of weights is a bias vector."""
    [bias] = [p for p in parts_of("units") if p.role == "bias"]
    assert torch.equal(load_criterion(name)([bias], generator()).argsort(), bias.weight.abs().flatten().argsort())


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_criterion_is_one_file_that_states_its_source(name: str) -> None:
    module = importlib.import_module(f"prunesearch.criteria.{name}")
    assert next(iter(inspect.signature(module.score).parameters)) == "parts"
    assert (module.__doc__ or "").startswith(f"{name}: ")
    assert CRITERIA[name].formula and CRITERIA[name].source


def test_a_part_has_no_value_that_these_tests_forget() -> None:
    assert {f.name for f in fields(Part)} == {"name", "role", *VALUES}


def test_an_unknown_criterion_is_told_with_the_nearest_name() -> None:
    with pytest.raises(PolicyError, match=r"'tailor' is unknown; did you mean 'taylor'\?"):
        load_criterion("tailor")

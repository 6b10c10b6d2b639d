"""Networks that nobody here wrote: which groups are found, how right the cut is, and what it leaves, beside Torch-Pruning's own.

    python -m benchmarks networks [--only resnet18 vit_b_16 ...] [--page docs/networks.md]

Every network of torchvision below goes through the session, with a policy that takes half of the units of every group by l1
and trains nothing. Then, with weights drawn anew again and in float64: the largest difference between masked and cut network,
relative to the largest output; and the same with one group cut wrongly, for every group, which has to be seen. Torch-Pruning
cuts a copy at the same ratio, in a process of its own with limited memory. Nothing here knows any network, except the
smallest image that it takes and how to make it without drawing weights for a minute.
"""

from __future__ import annotations

import argparse
import copy
import re
import resource
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch_pruning
import torchvision
from torch import nn

from benchmarks.machine import in_words
from benchmarks.record import Record, Run
from benchmarks.scenarios import ROOT
from prunesearch.errors import first_line
from prunesearch.policy import Policy
from prunesearch.pruning.cut import physical_cut
from prunesearch.pruning.groups import Groups, UnitGroup, find_groups
from prunesearch.pruning.masks import Gone, apply_masks, build_masks
from prunesearch.pruning.norms import narrowed_norms
from prunesearch.pruning.outlets import output_layers
from prunesearch.pruning.probe import apart, both_outputs, redrawn, settle_norms
from prunesearch.pruning.running import forward, tensors_of
from prunesearch.pruning.session import PruningSession
from prunesearch.schedules.markdown import table, with_block

NETWORKS = (
    "resnet18", "resnet50", "vgg11_bn", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1",
    "regnet_y_400mf", "googlenet", "inception_v3", "convnext_tiny", "vit_b_16", "swin_t", "shufflenet_v2_x0_5",
)  # fmt: skip
SIDES = {"inception_v3": 299, "vit_b_16": 224}
"""Side of the images where 64 is too small in evaluation or in training."""
RATIO = 0.5
SEEN = 1e-6
"""A wrong cut that changes outputs by less than this is not seen; right ones change them by 1e-9 at most."""
MEMORY = 8 * 2**30
"""Bytes that Torch-Pruning may take; a Swin transformer takes all there is."""


def made(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The network with random weights, and two random images."""
    torch.manual_seed(0)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model: nn.Module = torchvision.models.get_model(name, weights=None, **options).eval()
    side = SIDES.get(name, 64)
    return model, torch.randn(2, 3, side, side)


def measure(name: str) -> Run:
    """All figures of one network; plain data."""
    model, example = made(name)
    began = time.perf_counter()
    groups = find_groups(model, example)
    found_in = time.perf_counter() - began
    model = redrawn(model, example, torch.Generator().manual_seed(0))[0].float()  # a head of zeros would be a collapsed network
    pristine = copy.deepcopy(model)
    policy = Policy.parse({"epochs": 0, "granularity": "unit", "scope": "layer", "threshold": RATIO})
    session = PruningSession(model, policy, optimizer=None, example_input=example, groups=groups)
    finished = session.finish()
    chosen = [g for g in groups.units if g.name in finished.gone]
    asked = {g.name: g.info.size - int(g.info.size * RATIO + 1e-9) for g in chosen}
    reached = {row.name: row.kept for row in finished.layers if row.name in asked and not finished.infeasible}
    return {
        "dense": parameters(pristine),
        "params": parameters(model),
        "groups": len(chosen),
        "spared": Counter(_kind(g.info.spared) for g in groups.units if g.info.spared),
        "widths": sum(reached.get(group) == width for group, width in asked.items()),
        "infeasible": finished.infeasible,
        "found_in": found_in,
        **exactness(pristine, example, chosen, finished.gone),
        "theirs": torch_prunings(name),
        "reasons": _reasons(groups),
        "seconds": time.perf_counter() - began,
    }


def parameters(model: nn.Module) -> int:
    """Elements of all parameter tensors."""
    return sum(p.numel() for p in model.parameters())


def exactness(model: nn.Module, example: Any, groups: Sequence[UnitGroup], gone: Gone) -> dict[str, Any]:
    """How far masked and cut network are apart in float64, and in how many groups a wrong cut is seen."""
    exact, inputs = redrawn(model, example, torch.Generator().manual_seed(1))
    apply_masks(exact, build_masks(dict(exact.named_parameters()), groups, gone))
    with narrowed_norms(exact, groups, gone):
        trains = settle_norms(exact, inputs)
        masked = both_outputs(exact, inputs, trains)
    wrong = [{**gone, g.name: other} for g in groups if not torch.equal(other := gone[g.name].roll(1), gone[g.name])]

    def difference(choice: Gone) -> float:
        cut = copy.deepcopy(exact)
        physical_cut(cut, groups, choice)
        return apart(masked, both_outputs(cut, inputs, trains))

    seen = [difference(choice) > SEEN for choice in wrong]
    return {"difference": difference(gone), "sabotaged": len(wrong), "seen": sum(seen)}


def _kind(reason: str) -> str:
    """A reason without the names of layers, so that equal ones can be counted."""
    return re.sub(r"\S+ \((\w+)\)", r"a \1", reason)


def _reasons(groups: Groups) -> dict[str, str]:
    return {g.name: g.info.spared for g in groups.units if g.info.spared}


def torch_prunings(name: str) -> dict[str, Any]:
    """What Torch-Pruning leaves of the same network, or what it raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_limited) as pool:
        try:
            return pool.submit(_their_cut, name).result()
        except (MemoryError, BrokenProcessPool):
            return {"problem": f"takes more than {MEMORY // 2**30} GiB"}


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    torch.set_num_threads(1)


def _their_cut(name: str) -> dict[str, Any]:
    """Traced in evaluation, as it does by itself; in training mode where the cut network no longer runs in that."""
    model, example = made(name)
    trains = _runs_in_training(model, example)
    try:
        left = _cut_by_torch_pruning(model, example, training=False)
        if trains and not _runs_in_training(left, example):
            left = _cut_by_torch_pruning(made(name)[0], example, training=True)
            return {"params": parameters(left), "note": "traced in training mode; traced in evaluation, its cut does not train"}
    except MemoryError:
        raise
    except Exception as problem:  # noqa: BLE001 -- whatever it raises is what the table shows
        return {"problem": f"raises {type(problem).__name__}: {first_line(problem)}"}
    return {"params": parameters(left)}


def _cut_by_torch_pruning(model: nn.Module, example: torch.Tensor, *, training: bool) -> nn.Module:
    def run(network: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
        network.train(training)
        return tensors_of(forward(network, inputs))

    heads = [model.get_submodule(layer) for layer in output_layers(copy.deepcopy(model), example)]
    attention = {m: m.num_heads for m in model.modules() if isinstance(m, nn.MultiheadAttention)}
    torch_pruning.pruner.BasePruner(
        model,
        example,
        torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=RATIO,
        ignored_layers=heads,
        num_heads=attention,
        forward_fn=run,
    ).step()
    return model


def _runs_in_training(model: nn.Module, example: torch.Tensor) -> bool:
    try:
        forward(model.train(), example)
    except (RuntimeError, ValueError):
        return False
    finally:
        model.eval()
    return True


HEAD = ("network", "groups", "spared and why", "widths reached", "parameters left", "Torch-Pruning's", "ours / theirs",
        "largest difference", "wrong cuts seen", "seconds")  # fmt: skip


def row(run: Run) -> list[str]:
    """One line of the table."""
    theirs = run["theirs"]
    left = f"{theirs['params']:,}{' *' if 'note' in theirs else ''}" if "params" in theirs else theirs["problem"]
    share = f"{run['params'] / theirs['params']:.3f}" if "params" in theirs else "-"
    spared = "; ".join(f"{count} x {reason}" if count > 1 else reason for reason, count in run["spared"].items())
    return [
        run["network"], str(run["groups"]), spared, f"{run['widths']} of {run['groups']}",
        f"{run['params']:,} of {run['dense']:,}", left, share,
        f"{run['difference']:.0e}".replace("0e+00", "0"), f"{run['seen']} of {run['sabotaged']}", f"{run['found_in']:.1f}",
    ]  # fmt: skip


def page_block(runs: Sequence[Run]) -> str:
    """The table, with its command, dates and machine."""
    dates = sorted(run["date"] for run in runs)
    notes = {f"\\* {run['theirs']['note']}." for run in runs if "note" in run["theirs"]}
    told = f"`python -m benchmarks networks`, {dates[0]} to {dates[-1]}, one thread. {in_words(runs[0]['machine'])}."
    return "\n\n".join([told, table(HEAD, map(row, runs)), *sorted(notes)])


def main() -> None:
    """Measure what is asked for, and put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "networks.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = Record("networks", ROOT / "benchmarks")
    for name in given.only:
        run = record.add({"network": name}, measure(name))
        print("  ".join(row(run)), flush=True)
    order = {name: i for i, name in enumerate(NETWORKS)}
    runs = sorted(record.runs, key=lambda run: order[run["network"]])
    given.page.write_text(with_block(given.page.read_text(encoding="utf-8"), "networks", page_block(runs)), encoding="utf-8")


if __name__ == "__main__":
    main()

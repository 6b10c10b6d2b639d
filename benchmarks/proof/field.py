"""The field's figures: LeNet-300-100 and Caffe's LeNet-5 on MNIST, searched at published sizes, with the usual controls.

    python -m benchmarks proof_field --only lenet300 --work FOLDER [--data-dir DIR]

Controls (Blalock et al. 2020, Liu et al. 2019) of a chosen policy, each with the same number of weights: the same policy
with random scores; uniform magnitude, the same share of every layer in one cut at half of the epochs; from scratch, the
layers as sparse as the policy left them, at random and before the first step.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmarks.proof.page import Summary
from benchmarks.proof.pictures import Dots, draw, shown
from benchmarks.proof.repeats import DENSE, repeat, repeats_of
from benchmarks.proof.searches import FOLDER, Where, chosen, place, search_study, stored
from benchmarks.proof.words import command_of, mean_of, origin, point_of, search_words, spread
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.report.words import policy_words, times
from prunesearch.schedules.markdown import table


@dataclass(frozen=True)
class Net:
    """One network of the field.

    Args:
        title: as papers call it.
        params: of the dense network.
        published: compression -> (source, test error in percent).
        lowest: test accuracy at the lower edge of the picture, in percent.
        recipe: what of the training is not as in the paper, dense network and controls included.
    """

    title: str
    params: int
    published: Mapping[int, tuple[str, float]]
    lowest: float = 95.0
    recipe: str = ""


NETS: Mapping[str, Net] = MappingProxyType(
    {
        "lenet300": Net(
            "LeNet-300-100",
            266_610,
            {
                12: ("Han et al. 2015", 1.59),
                28: ("lottery ticket (dense level)", 1.8),
                56: ("Guo et al. 2016, quoted from memory", 1.99),
            },
        ),
        "lenet5": Net(
            "LeNet-5 (Caffe)",
            431_080,
            {12: ("Han et al. 2015", 0.77)},
            lowest=98.0,
            recipe="Training images are shifted by up to two pixels, for the dense network and the controls too: the best on "
            "validation of four recipes, tried once each with seed 1, whose test accuracies were seen as well.",
        ),
    }
)
CONTROLS = ("random", "uniform magnitude", "from scratch")
LOOKS = ("control", "second", "third")


def _study(name: str) -> str:
    return f"mnist-{name}-han"


def _label(factor: int, control: str = "") -> str:
    return f"{factor}x {control}".strip()


def policies(search: Run, net: Net, controlled: Collection[int] = ()) -> dict[str, Policy]:
    """Per published size the policy that was best on validation; for the compressions named, its controls too."""
    made: dict[str, Policy] = {}
    for factor in net.published:
        found = chosen(search, net.params // factor)
        if found is None:
            continue
        made[_label(factor)] = Policy.parse(found["policy"])
        if factor in controlled:
            made |= {_label(factor, name): Policy.parse(fields) for name, fields in _controls(found).items()}
    return made


def _controls(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    policy, left = found["policy"], found["left"]
    gone = {name: max(0.0, 1 - kept / total) for name, (kept, total) in left.items()}
    kept, total = (sum(pair[i] for pair in left.values()) for i in range(2))
    shared = {"epochs": policy["epochs"], "granularity": "weight", "function": "one_shot_static", "prune_output_layer": True}
    half = policy["epochs"] // 2
    return {
        "random": {**policy, "criterion": "random"},
        "uniform magnitude": {**shared, "scope": "layer", "threshold": 1 - kept / total, "epoch_threshold": half},
        "from scratch": {**shared, "criterion": "random", "scope": "ratios", "ratio": gone, "epoch_threshold": 0},
    }


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    parts = [part for name, net in NETS.items() for part in _part(name, net)]
    if not parts:
        return ""
    open_ones = [
        f"{net.title} (`python -m benchmarks proof_field --only {name}`)" for name, net in NETS.items() if not _part(name, net)
    ]
    parts += [f"Not measured yet: {', '.join(open_ones)}; nor are controls where there is a dash."] if open_ones else []
    text = (
        "## The field: LeNet on MNIST\n\nTest error in percent, mean and deviation over three fresh seeds. Compression counts "
        "what has to be stored: dense parameters, biases included, over non-zero weights plus all biases. *Random* is the "
        "searched policy with random scores, *uniform magnitude* the same share of every layer in one cut at half of the epochs, "
        "*from scratch* the searched layers' sparsities with random masks, trained from the start. All remove as many "
        "weights; units that are dead then go too, so controls may end smaller."
    )
    return "\n\n".join([text, *parts])


def _part(name: str, net: Net) -> list[str]:
    runs = stored(f"proof_{name}")
    search = next((r for r in runs if r["kind"] == "search"), None)
    if search is None:
        return []
    task = f"mnist-{name}"
    head = ["compression", "published", "searched", *CONTROLS, "dense", "policy"]
    dense = spread(repeats_of(runs, task, DENSE), error=True)
    made = policies(search, net)
    rows = [_row(runs, task, factor, net, dense, made.get(_label(factor))) for factor in net.published]
    told = [net.recipe, *(_verdict(runs, task, factor, net) for factor in net.published)]
    return [
        f"### {net.title}",
        table(head, rows),
        " ".join(filter(None, told)),
        shown(name, _title(net)),
        search_words(search),
        origin(runs, "proof_field"),
    ]


def _verdict(runs: Sequence[Run], task: str, factor: int, net: Net) -> str:
    """In words whether the published error is reached at the published size, and how far the network is from our dense one."""
    found, dense = (repeats_of(runs, task, label) for label in (_label(factor), DENSE))
    error = net.published[factor][1]
    if not found or not dense:
        return ""
    ours, level = (100 * (1 - mean_of(r)) for r in (found, dense))
    behind = f"{abs(ours - level):.2f} points {'behind' if ours > level else 'ahead of'} our own dense network"
    return f"At {factor}x: {'reached' if ours <= error else f'not reached, by {ours - error:.2f} points'}; {behind}."


def _row(runs: Sequence[Run], task: str, factor: int, net: Net, dense: str, policy: Policy | None) -> list[str]:
    found = repeats_of(runs, task, _label(factor))
    reached = times(net.params / mean_of(found, "params")) if found else f"{factor}x"
    source, error = net.published[factor]
    published = f"{error:.2f} at {factor}x ({source})"
    controls = [spread(repeats_of(runs, task, _label(factor, c)), error=True) for c in CONTROLS]
    return [reached, published, spread(found, error=True), *controls, dense, policy_words(policy) if policy else "-"]


def _title(net: Net) -> str:
    return f"MNIST, {net.title}: three seeds"


def pictures() -> None:
    """Searched policies, controls and published points."""
    for name, net in NETS.items():
        if runs := stored(f"proof_{name}"):
            _picture(name, net, runs)


def _picture(name: str, net: Net, runs: Sequence[Run]) -> None:
    task = f"mnist-{name}"
    dots = [Dots("searched", "chosen", _points(runs, task, net, ""))]
    dots += [Dots(control, look, _points(runs, task, net, control)) for control, look in zip(CONTROLS, LOOKS, strict=True)]
    dots.append(Dots("dense", "other", [point_of(found)] if (found := repeats_of(runs, task, DENSE)) else []))
    stars = [(net.params / factor, 100 - error, 0.0) for factor, (_, error) in net.published.items()]
    dots.append(Dots("published", "published", stars, [source.partition(",")[0] for source, _ in net.published.values()]))
    draw(name, _title(net), [d for d in dots if d.points], net.lowest)


def _points(runs: Sequence[Run], task: str, net: Net, control: str) -> list[tuple[float, float, float]]:
    found = [repeats_of(runs, task, _label(factor, control)) for factor in net.published]
    return [point_of(f) for f in found if f]


def summary() -> list[Summary]:
    """Rows of the README's table."""
    rows = []
    for name, net in NETS.items():
        runs = stored(f"proof_{name}")
        for factor, (source, error) in net.published.items():
            found = repeats_of(runs, f"mnist-{name}", _label(factor))
            if found:
                told = f"{spread(found, error=True)} % error at {times(net.params / mean_of(found, 'params'))}"
                told += " (training images shifted, see there)" if net.recipe else ""
                command = command_of("proof_field", _study(name))
                what = f"{net.title}, {factor}x fewer parameters"
                rows.append(Summary(source, what, f"{error:.2f} % error", searched=told, command=command))
    return rows


def _measure(name: str, where: Where, controlled: Collection[int]) -> None:
    record = Record(f"proof_{name}", FOLDER)
    search = search_study(_study(name), record, where)
    repeat(record, f"mnist-{name}", policies(search, NETS[name], controlled), where)


def main() -> None:
    """Search, then run the chosen policies and their controls with fresh seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument(
        "--controls", nargs="*", type=int, default=[12, 28], help="compressions at which controls are run (12 28)"
    )
    where, given = place(parser)
    for name in given.only:
        _measure(name, where, given.controls)


if __name__ == "__main__":
    main()

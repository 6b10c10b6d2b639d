"""The two files that `prunesearch init` writes, with ranges and help texts from the tables that validation reads."""

from __future__ import annotations

from collections.abc import Iterator

from prunesearch.hyperparameters import HYPERPARAMETERS, Hyperparameter
from prunesearch.spec import StudySpec

SPACE = (
    "granularity",
    "schedule_type",
    "function",
    "criterion",
    "scope",
    "threshold",
    "ratio",
    "threshold_step",
    "eps",
    "initial_learning_rate",
    "recovery_epochs",
    "ramp",
    "prune_iter",
    "recovery",
    "lr_restart",
)
"""Fields that the study template lists; the integers that depend on others are searched as far as they go."""
GIVEN = {"granularity": "[weight, neuron]  # filter and unit: where the network has convolutions"}
"""What the template's own network allows."""
DYNAMIC = ("epoch_threshold", "converge_over", "rewind_to")

TASK = '''"""What is pruned: a network, its data and how it is trained. Replace the three by your own."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import prunesearch as ps


class Net(nn.Module):
    """64 pixels -> 128 -> 64 -> 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch) x 64 -> (batch) x 10."""
        return self.out(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def make_task() -> ps.Task:
    """1,797 real scans of digits, 8 x 8 pixels each; every fifth is kept for the test."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    test = torch.arange(len(x)) % 5 == 0
    return ps.Task(
        model=Net,  # called without arguments whenever a fresh network is needed
        train=(x[~test], y[~test]),  # a part of it becomes the validation split, unless you give val=
        test=(x[test], y[test]),  # never used for choosing
        epochs=10,
        batch_size=64,
        optimizer="adam",
        lr=3e-3,
        lr_schedule="cosine",
        # weights="trained.safetensors",  # start from a trained network (give val= too, data it was not trained on)
    )
'''


def study_template(name: str, task: str) -> str:
    """A study file that runs as it is, every field with what it means.

    Args:
        name: the study's name.
        task: the task, such as `my_task.py:make_task`.
    """
    head = [
        f"# What is searched. Before:  prunesearch check {name}.yaml   Then:  prunesearch search {name}.yaml",
        "# Every field but the task has a default: delete what you do not care about.",
        *_entry("name", name),
        *_entry("task", task),
        *_entry("epochs", "10"),
        *_entry("trials", "30"),
        *_entry("seed", "0"),
        *_entry("objectives", "[accuracy, params, latency_ms]"),
        *_entry("constraints", '{accuracy: ">= dense - 0.05"}'),
        *_entry("sampler", "tpe"),
        *(line for field, value in QUIET.items() for line in _entry(field, value, said=False)),
    ]
    return "\n".join([*head, *_space(), *_start()]) + "\n"


QUIET = {
    "timeout": "3600",
    "latency": "{batch_size: 1, threads: 1, dtype: float32, backend: eager, rounds: 15}",
    "numerics": "exact",
    "device": "auto",
    "engine": "process",
    "workers": "0",
    "workers_per_gpu": "1",
    "graphs": "false",
    "tie_ratios": "true",
}
"""Fields that a template tells of without setting them."""


def _entry(field: str, value: str, *, said: bool = True) -> tuple[str, str]:
    """What a field means and a line that sets it, as a comment where it is not said."""
    return f"# {StudySpec.model_fields[field].description}", f"{'' if said else '# '}{field}: {value}"


def _space() -> Iterator[str]:
    yield "# what is searched, per field. Words: choices; two numbers: a range; one value: fixed;"
    yield "# {low: ..., high: ..., log: true} or {choices: [...]}: the long form. These are the defaults."
    yield "space:"
    for name in SPACE:
        yield f"  # {HYPERPARAMETERS[name].help}"
        yield f"  {name}: {GIVEN.get(name) or _searched(HYPERPARAMETERS[name])}"
    bound = HYPERPARAMETERS["weight_threshold"]
    low, high = bound.search_units or (0, 0)
    yield f"  # weight_threshold: {_searched(bound)} for weights, [{low}, {high}] for units: {bound.help}"
    for name in DYNAMIC:
        yield f"  # {name}: {HYPERPARAMETERS[name].help}; searched as far as the epochs allow"


def _searched(h: Hyperparameter) -> str:
    words = [str(v).lower() if isinstance(v, bool) else f"{v:g}" if isinstance(v, float) else str(v) for v in h.search or ()]
    if h.kind == "ratios":
        return f"{{default: [{', '.join(words)}]}}"
    if h.log:
        return f"{{low: {words[0]}, high: {words[1]}, log: true}}"
    return f"[{', '.join(words)}]"


def _start() -> Iterator[str]:
    yield f"# {StudySpec.model_fields['start'].description}; fields that are not said take their defaults"
    yield "start:"
    yield "  - {function: gradual, granularity: weight, scope: global, threshold: 0.9, epoch_threshold: 1, converge_over: 5}"

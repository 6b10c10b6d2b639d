"""The task's metric over a split, and precision, recall and F1 per class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from prunesearch.tasks.task import Task
from prunesearch.tasks.types import Batch, Loss, Metric


def evaluate(model: nn.Module, batches: Iterable[Batch], metric: str | Metric) -> float:
    """A metric over all examples, the model in eval mode.

    Args:
        model: outputs (n, classes) or whatever the metric takes.
        batches: (inputs, targets) on the model's device.
        metric: one of `METRICS`, or `(outputs, targets) -> number`, called once with all outputs on the CPU.

    Returns:
        The metric; nan where outputs are.
    """
    model.eval()
    with torch.no_grad():
        if metric == "accuracy":
            return _share(model, batches, _hits)
        if metric == "top5":
            return _share(model, batches, _hits5)
        outputs, targets = _all(model, batches)
        return float(_metric(metric)(outputs, targets))


def metric_of(task: Task, model: nn.Module, batches: Iterable[Batch]) -> float:
    """The task's metric, by its own evaluation where it has one, the model in eval mode.

    Args:
        task: what says how.
        model: outputs what the metric takes.
        batches: (inputs, targets) on the model's device.
    """
    if task.evaluate is None:
        return evaluate(model, batches, task.metric)
    model.eval()
    with torch.no_grad():
        return float(task.evaluate(model, batches))


def mean_loss(model: nn.Module, batches: Iterable[Batch], loss: Loss) -> float:
    """The loss per example, the model in eval mode: the mean over batches, each weighted by its examples.

    Args:
        model: outputs what the loss takes.
        batches: (inputs, targets) on the model's device.
        loss: `(outputs, targets) -> mean loss`.

    Returns:
        The loss; nan where there are no examples.
    """
    model.eval()
    with torch.no_grad():
        found = [(len(y), float(loss(model(x), y))) for x, y in batches]
    count = sum(n for n, _ in found)
    return sum(n * value for n, value in found) / count if count else float("nan")


def same_metric(one: float, other: float, metric: str | Metric) -> bool:
    """Whether two networks that differ by rounding alone may have these values: hits are counted, other metrics are rounded."""
    return one == other if metric in ("accuracy", "top5") else math.isclose(one, other, rel_tol=1e-5)


def predictions(model: nn.Module, batches: Iterable[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and true classes of all targets that count (of maps: every pixel), (n,) and (n,) int64 on the CPU."""
    model.eval()
    told = []
    with torch.no_grad():
        for x, y in batches:
            outputs = model(x)
            told.append((predicted(outputs).flatten(), y.flatten(), _counted(outputs, y)))
    found, targets, counted = (torch.cat(parts).cpu() for parts in zip(*told, strict=True))
    return found[counted], targets[counted].long()


def predicted(outputs: torch.Tensor) -> torch.Tensor:
    """Classes from outputs (n, classes, ...): the largest; from (n,) or (n, 1): 1 where positive."""
    if outputs.dim() > 1 and outputs.shape[1] > 1:
        return outputs.argmax(1)
    return (outputs.flatten() > 0).long()


def classification_report(predicted_classes: torch.Tensor, targets: torch.Tensor, classes: int) -> Mapping[str, Any]:
    """Precision, recall and F1.

    Args:
        predicted_classes: (n,) integers.
        targets: (n,) integers.
        classes: number of classes.

    Returns:
        `{"classes": [{"class", "precision", "recall", "f1", "support"}, ...], "macro": {...}, "weighted": {...}}`; a class
        that is never predicted, or has no examples, counts as 0.
    """
    y, p = targets.numpy(), predicted_classes.numpy()
    hits, found, there = (np.bincount(v[(v >= 0) & (v < classes)], minlength=classes) for v in (y[y == p], p, y))
    scores = {"precision": _ratio(hits, found), "recall": _ratio(hits, there), "f1": _ratio(2 * hits, found + there)}
    rows = [
        {"class": c, **{name: float(score[c]) for name, score in scores.items()}, "support": int(there[c])}
        for c in range(classes)
    ]
    weights = {"macro": None, "weighted": there if there.any() else None}
    means = {
        kind: {name: float(np.average(score, weights=weight)) for name, score in scores.items()}
        for kind, weight in weights.items()
    }
    return {"classes": rows, **means}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where there is nothing."""
    found: np.ndarray = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return found


def _share(model: nn.Module, batches: Iterable[Batch], hits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> float:
    """Hits over the targets that count, read from the device once at the end; nan where any output is."""
    hit, count, sums = [], [], []
    for x, y in batches:
        outputs = model(x)
        counted = _counted(outputs, y)
        hit.append((hits(outputs, y) & counted).sum())
        count.append(counted.sum())
        sums.append(outputs.sum())
    if not sums or bool(torch.stack(sums).isnan().any()):
        return float("nan")
    right, all_of_them = torch.stack([torch.stack(hit).sum(), torch.stack(count).sum()]).tolist()
    return right / all_of_them if all_of_them else float("nan")


def _counted(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(elements,) bool: targets that count; a negative class is one to leave out, as `ignore_index` of torch's losses is."""
    flat = targets.flatten()
    classes = outputs.dim() > 1 and outputs.shape[1] > 1
    return flat >= 0 if classes and not flat.is_floating_point() else torch.ones_like(flat, dtype=torch.bool)


def _hits(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(elements,) bool."""
    return predicted(outputs).flatten() == targets.flatten()


def _hits5(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(elements,) bool."""
    best = outputs.topk(min(5, outputs.shape[1]), dim=1).indices  # (n, 5, ...)
    return (best == targets.reshape(len(best), 1, *best.shape[2:])).any(1).flatten()


def _all(model: nn.Module, batches: Iterable[Batch]) -> Batch:
    pairs = [(model(x).cpu(), y.cpu()) for x, y in batches]
    return torch.cat([o for o, _ in pairs]), torch.cat([y for _, y in pairs])


def _metric(metric: str | Metric) -> Metric:
    if not isinstance(metric, str):
        return metric
    loss = functional.mse_loss if metric == "mse" else functional.l1_loss
    return lambda outputs, targets: float(loss(outputs, targets.to(outputs.dtype).view_as(outputs)))

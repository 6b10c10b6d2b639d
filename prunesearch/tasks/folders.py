"""Tasks from a folder of images, one folder per class (torchvision's ImageFolder)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

from prunesearch.errors import TaskError, first_line
from prunesearch.tasks.networks import network
from prunesearch.tasks.task import Task
from prunesearch.tasks.told import told
from prunesearch.tasks.types import Source

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation that torchvision's networks are trained with, per channel of [0, 1]."""
MEMORY_SHARE = 0.125
"""The share of the machine's memory that decoded images may take; beyond it they are decoded anew in every epoch. Not of what
is free just now: every process must come to the same task."""


def folder_task(path: str, what: str, pixels: int) -> Task:
    """A classification task from `path/class/*.jpg`, or from `path/train/class/*.jpg` with `val` and `test` beside it.

    Images are resized so that the shorter side has `pixels`, cropped to the centre, and kept as uint8 in memory where
    they fit.

    Args:
        path: the folder.
        what: a network's name; see `prunesearch.tasks.networks`.
        pixels: side of the square images.

    Raises:
        TaskError: no such folder, no images in class folders, or a damaged one among them.
    """
    root = Path(path).expanduser()
    has_parts = (root / "train").is_dir()
    train = _images(root / "train" if has_parts else root, pixels)
    parts = {p: _images(root / p, pixels) for p in ("val", "test") if has_parts and (root / p).is_dir()}
    for part, images in parts.items():
        if images.classes != train.classes:
            raise TaskError(f"{root / part}: its class folders differ from those of {root / 'train'}")
    classes = len(train.classes)
    model = network(what, (3, pixels, pixels), classes)
    fits = sum(map(len, (train, *parts.values()))) * 3 * pixels**2 <= MEMORY_SHARE * psutil.virtual_memory().total
    sources = {p: _source(images, fits) for p, images in parts.items()}
    return Task(
        model=model,
        train=_source(train, fits),
        val=sources.get("val"),
        test=sources.get("test"),
        classes=classes,
        normalize=IMAGENET if fits else None,
        batch_size=64,
    )


def _images(folder: Path, pixels: int) -> ImageFolder:
    transform = Compose([Resize(pixels), CenterCrop(pixels), PILToTensor()])
    try:
        return ImageFolder(str(folder), transform=transform)
    except (FileNotFoundError, NotADirectoryError) as problem:
        hint = "one folder per class is needed: photos/cat/1.jpg, or photos/train/cat/1.jpg"
        raise TaskError(f"{folder}: {first_line(problem)}", hint) from problem


def _source(images: Any, fits: bool) -> Source:
    """The images as tensors where they fit, else as a data set that decodes and scales them each time."""
    if fits:
        return torch.stack(list(_decoded(images))), torch.tensor(images.targets)
    images.transform = Compose([images.transform, _Scale()])
    streamed: Source = images
    return streamed


def _decoded(images: Any) -> Iterator[torch.Tensor]:
    """All images, in order, (3, pixels, pixels) each.

    Raises:
        TaskError: one is damaged; its file is named.
    """
    for i, (path, _) in enumerate(images.samples):
        with told(path, "mend the file or take it out"):
            x, _ = images[i]
        yield x


class _Scale:
    """uint8 (3, h, w) -> float, with mean 0 and deviation 1 on ImageNet."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
        return (x.float() / 255 - mean) / std

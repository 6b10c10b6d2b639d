"""Where a folder takes shape before it has its place: beside it, on the same disk, so that a rename puts it there whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from safetensors import SafetensorError

from prunesearch.errors import EnvironmentFailure


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Tells what keeps `target` from being written.

    Raises:
        EnvironmentFailure: an OSError, or what safetensors makes of one.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "give a folder that you may write to, on a disk that has room"
        raise EnvironmentFailure(f"cannot write '{target}': {reason}", hint) from None


_ABANDONED = 3600.0
"""Seconds after which nobody writes a draft any more."""


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove the files and folders that processes which were killed in the middle of their work have left in `folder`.

    Args:
        folder: where they lie; it need not be there.
        pattern: a glob for their paths.
    """
    for left in folder.glob(pattern):
        with suppress(OSError):
            if time() - left.stat().st_mtime <= _ABANDONED:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Where `target` can be made: a path of its name in a new folder beside it, which goes in the end with what is still there.

    Raises:
        EnvironmentFailure: there is no folder to be made there.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        made = TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder) / target.name


@contextmanager
def draft_of(to: str | None) -> Iterator[str | None]:
    """Where what shall go to `to` takes shape, made before anything is trained; None where nothing is wanted."""
    if not to:
        yield None
        return
    with beside(Path(to)) as draft:
        yield str(draft)

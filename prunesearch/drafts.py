"""Where a folder takes shape before it has its place: beside it, on the same disk, so that a rename puts it there whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

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

"""Whose a folder of kept networks is: that of the study which used it first, in whatever store that lies."""

from __future__ import annotations

import os
from pathlib import Path

from prunesearch.drafts import remove_abandoned, writing
from prunesearch.errors import StudyError

MARK = "study.txt"
"""In a study's folder: when the study was made, which tells it from another one of its name."""


def claim(folder: Path, study: str, made: str) -> None:
    """Mark a study's folder as its own, and clear it of old drafts. One without a mark, from before there were any, is anybody's.

    Raises:
        StudyError: it is another study's.
        EnvironmentFailure: it cannot be made or read.
    """
    with writing(folder):
        owner = _owner(folder)
        if owner is None:
            _mark(folder, made)
        remove_abandoned(folder, ".trial-*")  # a worker that is killed while it keeps a network leaves its draft
    if owner not in (None, made):
        raise StudyError(
            f"'{folder}' holds the networks of another study '{study}', made at {owner}",
            "give another folder with --artifacts; or remove this one, if nobody needs it any more",
        )


def belongs(folder: Path, made: str) -> bool:
    """Whether what a folder holds may be that of the study which was made then."""
    return _owner(folder) in (None, made)


def _owner(folder: Path) -> str | None:
    try:
        return (folder / MARK).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _mark(folder: Path, made: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{MARK}.{os.getpid()}.part"  # whole at once: drivers of one study begin at the same time
    draft.write_text(f"{made}\n", encoding="utf-8")
    draft.replace(folder / MARK)

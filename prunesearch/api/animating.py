"""`animate`: a recorded run, or a stored trial that is run again, as moving pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING

from prunesearch.api.arguments import documented
from prunesearch.api.bundles import run_again
from prunesearch.api.choosing import Choice, open_store, stored_front, stored_study
from prunesearch.api.settings import data_folder
from prunesearch.drafts import beside, writing
from prunesearch.errors import EnvironmentFailure, UsageError, did_you_mean
from prunesearch.report.findings import told

if TYPE_CHECKING:
    from prunesearch.animate.frames import Film
    from prunesearch.recordings import Recording
    from prunesearch.store import StudyRecord, TrialRecord

KINDS = ("network", "weights", "filters")
PACKAGES = {"matplotlib": "matplotlib", "PIL": "pillow"}
"""Modules that drawing needs, and what they are installed as."""

WIDEST = 4096
"""Pixels of a picture's width; all frames are held in memory."""

Listener = Callable[[str, int, int], None]
"""Is called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Picture:
    """One file that was written.

    Args:
        what: network, weights or filters.
        path: where.
        frames: how many it has.
        bytes: its size.
        notes: what was sampled or left out of it, as its foot says, and how it was made to fit.
    """

    what: str
    path: str
    frames: int
    bytes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Wish:
    """What was asked for: kinds of pictures with the file of each, and how they are drawn."""

    files: dict[str, Path]
    frame: str | None
    fps: float
    width: int

    @property
    def place(self) -> Path:
        """The first file; all are in one folder."""
        return next(iter(self.files.values()))


@documented
def animate(
    recording: str | Path | None = None,
    *,
    study: str | None = None,
    trial: int | None = None,
    knee: bool = False,
    where: str | None = None,
    by: str | None = None,
    what: Sequence[str] = ("network",),
    frame: str | None = None,
    to: str | None = None,
    fps: float = 2.0,
    width: int = 900,
    force: bool = False,
    device: str | None = None,
    data_dir: str | None = None,
    store: str | None = None,
    plugin: Sequence[str] = (),
    listener: Listener | None = None,
) -> tuple[Picture, ...]:
    """Draw a network while it is pruned, its weights or its filters, as GIF, MP4 or single PNG.

    From a recording, or from a stored trial: that is run again, and has to give the recorded figures. Without a choice it is
    the one that a search ends with. `to` is a .gif, .mp4 or .png file, or a folder, which several kinds need. GIFs stay below
    2 MB where that can be reached: colours, then pixels become fewer.

    Raises:
        UsageError: no such recording, a damaged one, a contradiction, a picture too wide, or a file that is there already.
        StudyError: the study is not in the store.
        TrialError: it has no such trial.
        InfeasibleError: nothing satisfies the choice, or the trial leaves no usable network.
        EnvironmentFailure: a package or ffmpeg is missing, a file cannot be written, or running again gave other figures.
    """
    choice = Choice(trial, knee, where, by)
    if recording is not None and (study or choice.given):
        raise UsageError("a recording and a stored trial are two things", "give one of them")
    if width > WIDEST:
        raise UsageError(f"--width: {width:,} pixels are more than {WIDEST:,}", f"--width {WIDEST} is the widest")
    wish = _Wish(_files(tuple(what), frame, to, force), frame, fps, width)
    _needs_packages(wish)
    hear = listener or (lambda _what, _done, _total: None)
    if recording is not None:
        return _drawn(recording, wish, hear)
    found, chosen = _chosen(study, choice, store)
    with _run_recorded(found, chosen, (device, data_folder(data_dir), tuple(plugin)), wish.place, hear) as folder:
        return _drawn(folder, wish, hear)


def _files(what: tuple[str, ...], frame: str | None, to: str | None, force: bool) -> dict[str, Path]:
    """The file of every kind, none of which is there yet unless `force`."""
    for kind in what:
        if kind not in KINDS:
            raise UsageError(f"--what: '{kind}' cannot be drawn", did_you_mean(kind, KINDS))
    if not what:
        raise UsageError("--what: nothing is to be drawn", f"give {', '.join(KINDS)}")
    target, suffix = Path(to or "."), ".png" if frame is not None else ".gif"
    single = target.suffix.lower() in (".gif", ".mp4", ".png")
    if single and len(set(what)) > 1:
        raise UsageError(f"--to: '{target}' is one file, and {len(set(what))} kinds of pictures were asked for", "give a folder")
    if single and (target.suffix.lower() == ".png") != (frame is not None):
        wrong = "a .png holds one frame" if frame is None else f"one frame is a .png, not a {target.suffix}"
        raise UsageError(f"--to: {wrong}", "add --frame last" if frame is None else "leave --frame out, or give a .png")
    files = {kind: target if single else target / f"{kind}{suffix}" for kind in what}
    for path in files.values():
        with writing(path):
            folder, there = path.is_dir(), path.exists()
        if folder or (there and not force):
            hint = "it is a folder; --to names a file" if folder else "--force overwrites it; --to names another"
            raise UsageError(f"'{path}' is there already", hint)
    if not single and not target.is_dir() and (target.exists() or guess_type(target.name)[0]):
        raise UsageError(f"--to: '{target}' is neither a folder nor a .gif, .mp4 or .png", "give one of these")
    return files


def _needs_packages(wish: _Wish) -> None:
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise EnvironmentFailure(f"drawing needs {' and '.join(missing)}", f"pip install {' '.join(missing)}")
    if any(path.suffix.lower() == ".mp4" for path in wish.files.values()):
        from prunesearch.animate.files import needs_ffmpeg

        needs_ffmpeg()


def _chosen(study: str | None, choice: Choice, store: str | None) -> tuple[StudyRecord, TrialRecord]:
    with open_store(store) as opened:
        record = stored_study(opened, study)
        if choice.trial is not None:
            return record, opened.trial(record.name, choice.trial)
        front = stored_front(opened, record)
        row = choice.row(front) if choice.given else told(front)
        return record, opened.trial(record.name, row.trial)


@contextmanager
def _run_recorded(
    study: StudyRecord, trial: TrialRecord, how: tuple[str | None, str | None, tuple[str, ...]], to: Path, hear: Listener
) -> Iterator[str]:
    """The folder of the trial's recording, beside `to`: where no picture can be written nothing is run."""
    with beside(to) as draft:
        hear(f"running trial {trial.number} of {study.name} again", 0, 1)
        run_again(study, trial, *how, record_to=str(draft))
        hear(f"running trial {trial.number} of {study.name} again", 1, 1)
        yield str(draft)


def _drawn(folder: str | Path, wish: _Wish, hear: Listener) -> tuple[Picture, ...]:
    from prunesearch.animate.frames import Film
    from prunesearch.animate.scenes import scene
    from prunesearch.recordings import Recording

    recording = Recording.read(folder)
    films = {kind: Film(recording, scene(kind, recording), wish.width) for kind in wish.files}
    frames = range(len(recording.frames)) if wish.frame is None else [_frame(recording, wish.frame)]
    return tuple(_written(kind, film, frames, wish, hear) for kind, film in films.items())


def _frame(recording: Recording, asked: str) -> int:
    """The frame that `first`, `last` or an epoch means."""
    count = len(recording.frames)
    if asked in ("first", "last"):
        return 0 if asked == "first" else count - 1
    epochs = {str(state.epoch): at for at, state in enumerate(recording.frames)}
    if asked not in epochs:
        raise UsageError(
            f"--frame: there is no '{asked}'", f"give first, last, or an epoch from -1 to {recording.frames[-1].epoch}"
        )
    return epochs[asked]


def _written(kind: str, film: Film, frames: Sequence[int], wish: _Wish, hear: Listener) -> Picture:
    from prunesearch.animate.files import gif, mp4, png

    path, notes, images = wish.files[kind], film.scene.notes, []
    with beside(path) as draft:
        for done, at in enumerate(frames):
            hear(f"drawing {kind}", done, len(frames))
            images.append(film.image(at))
        hear(f"drawing {kind}", len(frames), len(frames))
        with writing(path):
            if path.suffix.lower() == ".mp4":
                mp4(images, wish.fps, draft)
            elif wish.frame is not None:
                draft.write_bytes(png(images[0]))
            else:
                packed = gif(images, wish.fps)
                draft.write_bytes(packed.data)
                notes += packed.told
            draft.replace(path)
            return Picture(kind, str(path), len(images), path.stat().st_size, notes)

"""From frames to a file: GIF with Pillow, MP4 with ffmpeg, PNG."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image as Pictures

from prunesearch.animate.frames import ACCURACY, BAR, FAINT, FILL, INK, SOFT, SPARSITY, START, WEIGHTS, Image
from prunesearch.errors import EnvironmentFailure

LIMIT = 2_000_000
"""Bytes that a GIF may have: what web pages still load at once."""
REDUCTIONS: Sequence[tuple[int, int, float]] = ((13, 4, 1.0), (9, 3, 1.0), (7, 2, 1.0), (7, 2, 0.75), (5, 2, 0.6), (5, 2, 0.4))
"""Colours of weights, shades of each colour, and share of the width, that are tried until a GIF is small enough."""
HOLD = 4
"""Frames for which the last one stays."""


@dataclass(frozen=True)
class Packed:
    """A GIF: its bytes, and how it was made.

    Args:
        data: the file.
        colours: of its palette.
        width: pixels.
        reduced: whether it is less than was asked for, so as to fit.
        limit: bytes that it should fit into.
    """

    data: bytes
    colours: int
    width: int
    reduced: bool
    limit: int

    @property
    def told(self) -> tuple[str, ...]:
        """In words, where it was reduced; and where that was not enough."""
        how, limit = f"{self.colours} colours and {self.width} pixels", f"{self.limit / 1e6:g} MB"
        if len(self.data) > self.limit:
            return (f"{len(self.data) / 1e6:.2g} MB even with {how}, which is more than {limit}: a .mp4 is smaller",)
        return (f"reduced to {how}, to stay below {limit}",) if self.reduced else ()


def gif(frames: Sequence[Image], fps: float, limit: int = LIMIT) -> Packed:
    """A GIF that repeats for ever, its last frame staying longer; all frames share one palette.

    Args:
        frames: equally large, at least one.
        fps: frames per second; GIFs know hundredths of a second.
        limit: bytes; colours, then pixels become fewer until it fits, or nothing is left to try.
    """
    for reduction in REDUCTIONS:
        data, colours, width = _packed(frames, fps, reduction)
        packed = Packed(data, colours, width, reduction != REDUCTIONS[0], limit)
        if len(packed.data) <= limit:
            break
    return packed


def png(frame: Image) -> bytes:
    """A PNG."""
    made = BytesIO()
    Pictures.fromarray(frame).save(made, "PNG", optimize=True)
    return made.getvalue()


def needs_ffmpeg() -> str:
    """The path of ffmpeg.

    Raises:
        EnvironmentFailure: it is not there.
    """
    found = shutil.which("ffmpeg")
    if found is None:
        raise EnvironmentFailure("MP4 needs ffmpeg, and there is none on PATH", "install ffmpeg, or write a .gif")
    return found


def mp4(frames: Iterable[Image], fps: float, to: Path) -> None:
    """Write a video that players and browsers take (yuv420p); width and height have to be even.

    Raises:
        EnvironmentFailure: ffmpeg is not there, or fails.
    """
    program, left = needs_ffmpeg(), iter(frames)
    first = next(left)
    high, wide = first.shape[:2]
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}", "-r", f"{fps:g}", "-i", "-"]
    wanted = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-r", f"{max(fps, 10):g}", "-f", "mp4", str(to)]
    command = [program, "-y", "-loglevel", "error", *given, *wanted]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        told = running.communicate(b"".join(_held(first, left)))[1]
    if running.returncode:
        reason = (told.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise EnvironmentFailure(f"ffmpeg failed: {reason}", "write a .gif")


def _held(first: Image, rest: Iterator[Image]) -> Iterator[bytes]:
    """All frames as bytes, the last one several times."""
    last = first
    yield first.tobytes()
    for last in rest:
        yield last.tobytes()
    for _ in range(HOLD - 1):
        yield last.tobytes()


def _packed(frames: Sequence[Image], fps: float, reduction: tuple[int, int, float]) -> tuple[bytes, int, int]:
    """A GIF, how many colours it has, and its width."""
    colours, wide = palette(*reduction[:2]), round(frames[0].shape[1] * reduction[2])
    flat = [_painted(_resized(frame, wide), colours) for frame in frames]
    step = max(20, round(1000 / fps))
    made = BytesIO()
    durations = [*[step] * (len(flat) - 1), HOLD * step]
    flat[0].save(made, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False)
    return made.getvalue(), len(colours), wide


def _painted(frame: Image, colours: Image) -> Pictures.Image:
    """The frame in the nearest of the colours; Pillow's own search is off by a few levels, and white is not white then."""
    packed = frame.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    every, places = np.unique(packed, return_inverse=True)
    rgb, to = np.stack([every >> 16, every >> 8 & 255, every & 255], axis=1).astype(np.float32), colours.astype(np.float32)
    nearest = (np.square(to).sum(axis=1) - 2 * rgb @ to.T).argmin(axis=1).astype(np.uint8)
    picture = Pictures.fromarray(nearest[places.reshape(packed.shape)], "P")
    picture.putpalette(colours.ravel().tolist())
    return picture


def palette(steps: int, shades: int) -> Image:
    """The colours of all pictures, (n, 3): made, not counted, so that the rare ones are right and white is white.

    Args:
        steps: colours of weights, from negative to positive.
        shades: of every colour, down to nearly white.
    """
    full = [to_rgb(c) for c in (INK, SOFT, FAINT, ACCURACY, SPARSITY, BAR, START)] + [
        WEIGHTS(x)[:3] for x in np.linspace(0, 1, steps)
    ]
    shade = np.linspace(1, 1 / (shades + 1), shades)[:, None, None]
    found = (np.array(full) * shade + (1 - shade)).reshape(-1, 3)
    extra = [np.array(to_rgb(SPARSITY)) * FILL + (1 - FILL), np.ones(3)]
    return np.unique(np.round(255 * np.vstack([found, extra])).astype(np.uint8), axis=0)


def _resized(frame: Image, wide: int) -> Image:
    picture = Pictures.fromarray(frame)
    high = round(picture.height * wide / picture.width)
    return frame if wide == picture.width else np.asarray(picture.resize((wide, high), Pictures.Resampling.LANCZOS))

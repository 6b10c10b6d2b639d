"""Files, read back by those who made the formats: Pillow for GIF, ffmpeg for MP4."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from prunesearch.animate.files import HOLD, REDUCTIONS, gif, mp4, palette, png
from prunesearch.animate.frames import WEIGHTS, Image
from prunesearch.errors import EnvironmentFailure

FFMPEG = shutil.which("ffmpeg")


def frames(count: int = 4, side: int = 40) -> list[Image]:
    """White with a red bar that grows."""
    made = [np.full((side, side, 3), 255, np.uint8) for _ in range(count)]
    for at, frame in enumerate(made):
        frame[: 4 * (at + 1), :10] = np.round(255 * np.array(WEIGHTS(1.0)[:3]))
    return made


def noise(count: int, side: int) -> list[Image]:
    drawn = np.random.default_rng(0)
    return [drawn.integers(0, 256, (side, side, 3), np.uint8) for _ in range(count)]


def test_a_gif_has_every_frame_and_holds_the_last() -> None:
    with Pictures.open(BytesIO(gif(frames(), fps=5).data)) as found:
        assert (found.n_frames, found.info["loop"]) == (4, 0)  # type: ignore[attr-defined]
        shown, times = [], []
        for at in range(4):
            found.seek(at)
            shown.append(np.asarray(found.convert("RGB")))
            times.append(found.info["duration"])
    assert times == [200, 200, 200, 200 * HOLD]
    for one, other in zip(shown, frames(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_white_stays_white_and_colours_are_shared() -> None:
    for steps, shades, _ in REDUCTIONS:
        colours = palette(steps, shades).tolist()
        assert [255, 255, 255] in colours
        assert len(colours) <= 256
        assert np.round(255 * np.array(WEIGHTS(0.0)[:3])).tolist() in colours


def test_a_gif_is_made_to_fit_and_says_so() -> None:
    pictures = noise(3, 60)
    whole = gif(pictures, 2)
    assert not whole.reduced and whole.told == ()
    small = gif(pictures, 2, limit=len(whole.data) // 2)
    assert len(small.data) <= len(whole.data) // 2
    assert small.reduced and f"{small.colours} colours" in small.told[0] and f"{small.width} pixels" in small.told[0]


def test_a_gif_that_cannot_be_made_to_fit_says_so() -> None:
    packed = gif(noise(3, 60), 2, limit=100)
    assert packed.width == round(60 * REDUCTIONS[-1][2])
    assert "which is more than 0.0001 MB" in packed.told[0]


def test_a_png_is_what_was_drawn() -> None:
    (frame,) = frames(1)
    np.testing.assert_array_equal(np.asarray(Pictures.open(BytesIO(png(frame)))), frame)


@pytest.mark.skipif(FFMPEG is None, reason="there is no ffmpeg")
def test_an_mp4_is_played_by_ffmpeg(tmp_path: Path) -> None:
    assert FFMPEG is not None
    mp4(frames(), 10, tmp_path / "a.mp4")
    command = [FFMPEG, "-loglevel", "error", "-i", str(tmp_path / "a.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    played = np.frombuffer(raw, np.uint8).reshape(-1, 40, 40, 3).astype(int)
    assert len(played) == 4 + HOLD - 1
    for at, frame in enumerate(frames()):
        assert np.abs(played[at] - frame).mean() < 6


def test_without_ffmpeg_there_is_no_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match="needs ffmpeg") as told:
        mp4(frames(), 2, tmp_path / "a.mp4")
    assert "gif" in str(told.value.hint)
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.skipif(FFMPEG is None, reason="there is no ffmpeg")
def test_what_ffmpeg_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="ffmpeg failed"):
        mp4(frames(), 2, tmp_path / "none" / "a.mp4")

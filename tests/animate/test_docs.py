"""docs/animations.md says what is true: policies are policies, commands parse, pictures are what they are said to be."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image as Pictures

from prunesearch import yamlfile
from prunesearch.animate.files import LIMIT
from prunesearch.cli.app import app
from prunesearch.policy import Policy

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "animations.md").read_text(encoding="utf-8")
POLICIES = {
    name: Policy.parse(yamlfile.parse(text, name)) for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
}
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_every_command_names_what_there_is() -> None:
    options = {str(c.name): set(c.callback.__annotations__) for c in app.registered_commands if c.callback}
    assert len(COMMANDS) > 5
    for line in COMMANDS:
        program, command, *words = shlex.split(line)
        assert program == "prunesearch"
        flags = {w.removeprefix("--").replace("-", "_") for w in words if w.startswith("--")}
        assert flags <= options[command], line
        assert command != "run" or words[0] in POLICIES


@pytest.mark.parametrize(("picture", "policy"), [("network", "weights"), ("weights", "weights"), ("filters", "filters")])
def test_the_gifs_have_a_frame_per_epoch_and_each_differs(picture: str, policy: str) -> None:
    path = DOCS / "pictures" / f"{picture}.gif"
    assert path.stat().st_size < LIMIT
    with Pictures.open(path) as found:
        frames = int(found.n_frames)  # type: ignore[attr-defined]
        shown = []
        for at in range(frames):
            found.seek(at)
            shown.append(found.convert("RGB").tobytes())
    assert frames == POLICIES[f"{policy}.yaml"].epochs + 1
    assert len(set(shown)) == frames

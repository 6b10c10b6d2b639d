"""The README does what it says: its blocks are run in order, as written, in one empty folder.

* `bash`: one script, stopped by the first command that fails. `git clone` and `cd` into the clone are what has brought
  this test here, so they are left out. Of `make TARGET`, `make -n` says what it would do; for quickstart its last
  command, the search, is run from this environment. The rest of `make test` is what is running now.
* `python`, `yaml`: a first line `# name.py` or `# name.yaml` makes it that file; any other Python block is run.
* `prunesearch dashboard` serves until Ctrl-C, so it gets one after 30 seconds, and a free port.
* `text output`: what the block before it printed; `...` stands for anything. With `text output like`, figures, which
  depend on the machine, are compared as `#`, a line stands for its beginning (up to a comma or colon), and a row of
  a table for every row, since latencies decide which rows there are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"^# ([\w.-]+\.(?:py|yaml))$")
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
ROW = re.compile(r"^\s*\d+\s{2,}.*")


@dataclass(frozen=True)
class Block:
    """A fenced block of the README: the words behind the fence, its text, its first line."""

    info: tuple[str, ...]
    text: str
    line: int

    @property
    def named(self) -> str | None:
        found = NAMED.match(self.text.split("\n", 1)[0])
        return found[1] if found else None


def blocks(markdown: str) -> list[Block]:
    tokens = MarkdownIt().parse(markdown)
    return [Block(tuple(t.info.split()), t.content, (t.map or [0])[0] + 1) for t in tokens if t.type == "fence"]


def made(target: str) -> str:
    """What `make target` comes down to here."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}  # `make test` runs this test
    done = subprocess.run(["make", "-n", target], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    last = done.stdout.strip().splitlines()[-1]
    return last.replace(".venv/bin/", "") if target == "quickstart" else ":"


def translated(line: str) -> str:
    """A line of a shell block as it is run here."""
    words = line.split()
    if words[:2] == ["git", "clone"] or words == ["cd", "prunesearch"]:
        return ":"
    if words[:2] == ["prunesearch", "dashboard"]:
        return f"timeout --signal=INT 30 {line} --port 0 || [ $? = 124 ]"
    return made(words[1]) if words[:1] == ["make"] else line


def run(block: Block, folder: Path) -> str:
    """The block's output, both streams in the order written."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PRUNESEARCH_")}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}", "COLUMNS": "120", "NO_COLOR": "1"}
    if block.info[0] == "python":
        script = folder / f"line_{block.line}.py"
        script.write_text(block.text)
        command = [sys.executable, str(script)]
    else:
        command = ["bash", "-euo", "pipefail", "-c", "\n".join(translated(line) for line in block.text.splitlines())]
    out = subprocess.PIPE
    done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"README line {block.line} ended with {done.returncode}:\n{block.text}\n{done.stdout}"
    return done.stdout


def lines_of(text: str, like: bool) -> list[str]:
    """The lines that count: blank ones out, runs of spaces and rules as one; where only alike, their skeletons."""
    shown = [skeleton(line) if like else line for line in text.splitlines()]
    plain = [re.sub(r"[─━]+", "─", re.sub(r"[ \t]+", " ", line)).strip() for line in shown]
    kept = [line for line in plain if line]
    return [line for at, line in enumerate(kept) if line != "(row)" or at == 0 or kept[at - 1] != line]


def skeleton(line: str) -> str:
    """What is the same whatever the figures are."""
    return "(row)" if ROW.match(line) else NUMBER.sub("#", re.split(r"[,:] ", line)[0])


def missing(shown: str, printed: str, like: bool) -> list[str]:
    """The shown lines that were not printed in this order; a line of `...` allows anything between its neighbours."""
    real, found, strict, at = lines_of(printed, like), [], False, 0
    for line in lines_of(shown, like):
        if line == "...":
            strict = False
            continue
        pattern = re.compile(".*?".join(re.escape(part) for part in line.split("...")))
        reach = range(at, min(at + 1, len(real))) if strict else range(at, len(real))
        hit = next((i for i in reach if pattern.fullmatch(real[i])), None)
        if hit is None:
            found.append(line)
        else:
            at, strict = hit + 1, not like
    return found


def test_a_whole_task_fits_into_fifteen_lines() -> None:
    (task,) = [b for b in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if b.named == "my_task.py"]
    assert "def make_task()" in task.text
    assert len(task.text.splitlines()) <= 15


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_blocks_run_as_written(tmp_path: Path) -> None:
    printed = ""
    for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        kind = block.info[0] if block.info else ""
        if block.named:
            (tmp_path / block.named).write_text(block.text)
        elif kind in ("bash", "python"):
            printed = run(block, tmp_path)
        elif block.info[:2] == ("text", "output"):
            lost = missing(block.text, printed, like="like" in block.info)
            assert not lost, f"README line {block.line} shows what was not printed: {lost}\n{printed}"
        else:
            assert kind in ("text", "sql", "mermaid"), (
                f"README line {block.line}: a block of {kind or 'no language'} that nothing runs"
            )


@pytest.mark.parametrize(
    ("shown", "printed", "like", "lost"),
    [
        ("a\nb", "a\nb\n", False, []),
        ("a\nb", "a\nx\nb\n", False, ["b"]),
        ("a\n...\nb", "a\nx\nb\n", False, []),
        ("took ... s", "took 3.1 s", False, []),
        ("took 2.0 s", "took 3.1 s", False, ["took 2.0 s"]),
        ("took 2.0 s", "took 3.1 s", True, []),
        ("trial  accuracy\n 12  0.97", "trial accuracy\n────\n 7  0.91\n 8  0.92", True, []),
        ("trial  accuracy\n 12  0.97", "trial params\n 7  0.91", True, ["trial accuracy"]),
        ("trial\n 1  2\n 2  3\n 3  4", "trial\n 7  0.91", True, []),
        ("2.1x fewer, 1.2x faster", "20x fewer, as accurate", True, []),
        ("2.1x fewer, 1.2x faster", "20x smaller, 1.2x faster", True, ["#x fewer"]),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, like: bool, lost: list[str]) -> None:
    assert missing(shown, printed, like) == lost


@pytest.mark.parametrize(
    ("line", "here"),
    [
        ("git clone SOMEWHERE prunesearch", ":"),
        ("make test", ":"),
        ("make quickstart", "prunesearch search quickstart"),
        ("prunesearch front", "prunesearch front"),
    ],
)
def test_commands_of_a_clone_are_recognised(line: str, here: str) -> None:
    assert translated(line) == here

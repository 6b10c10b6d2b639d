"""Imports run one way: the layers of pyproject.toml hold, they would catch a breach, and reading needs no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]


def lint(where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        LINT, cwd=where, env={"PYTHONPATH": str(where), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


def test_the_layers_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("module", "breach"),
    [
        ("policy.py", "import prunesearch.store"),
        ("store/__init__.py", "import torch"),
        ("search/__init__.py", "import sqlalchemy"),
        ("engines/__init__.py", "import prunesearch.store"),
        ("schedules/__init__.py", "import torch"),
    ],
)
def test_a_breach_is_caught(tmp_path: Path, module: str, breach: str) -> None:
    shutil.copytree(ROOT / "prunesearch", tmp_path / "prunesearch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "prunesearch" / module).open("a") as file:
        file.write(f"\n{breach}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout


def test_reading_modules_load_no_torch() -> None:
    modules = "store, search, schedules, front, api, cli.main, engines.base, engines.fake, engines.process"
    code = "import sys\n" + "".join(f"import prunesearch.{m}\n" for m in modules.split(", "))
    code += "print([m for m in ('torch', 'torchvision', 'torch_pruning') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The wheel holds the package and the ready studies, nothing else, and both work where only the wheel is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUDIES = {p.stem for p in (ROOT / "studies").glob("*.yaml")}
LOAD_ALL = "from prunesearch.spec import StudySpec, ready_studies\nfor name in ready_studies(): print(StudySpec.find(name).name)"


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a cold disk reads an environment for minutes


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has prunesearch from the wheel only, and borrows the packages it needs.

    The borrowed folder is named in a .pth file, so that .pth files inside it (an editable prunesearch) have no effect.
    """
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(clean: Path, *words: str, where: Path) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run([str(clean / words[0]), *words[1:]], cwd=where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_package_and_the_studies_are_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {str(p.relative_to(ROOT)) for p in (ROOT / "prunesearch").rglob("*.py")}
    studies = {f"prunesearch/studies/{name}.yaml" for name in STUDIES}
    inside = {n for n in names if not n.startswith("prunesearch-")}
    assert inside == package | studies | {"prunesearch/py.typed"}
    assert {n.split("/")[1] for n in names - inside} <= {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses"}


def test_the_package_comes_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    where = run(clean, "python", "-c", "import prunesearch; print(prunesearch.__file__)", where=tmp_path).strip()
    assert Path(where).is_relative_to(clean.parent)


def test_every_ready_study_is_found_and_valid(clean: Path, tmp_path: Path) -> None:
    assert set(run(clean, "python", "-c", LOAD_ALL, where=tmp_path).split()) == STUDIES


def test_the_command_lists_them(clean: Path, tmp_path: Path) -> None:
    listed = run(clean, "prunesearch", "studies", where=tmp_path)
    assert {word for line in listed.splitlines() for word in line.replace("│", " ").split()} >= STUDIES
    assert not list(tmp_path.iterdir())  # looking leaves no database behind

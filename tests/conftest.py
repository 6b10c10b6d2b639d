"""What all tests share: a clean environment, hypothesis without deadlines, where real archives are found."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Two test processes share two cores: a deadline per example would fail by chance, not by fault.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


def pytest_configure() -> None:
    """A run that was started in the background ignores Ctrl-C, and so would all processes that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of the person who runs it."""
    for name in [n for n in os.environ if n.startswith("PRUNESEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="session")
def archives() -> Path:
    """A folder with MNIST and Fashion-MNIST as torchvision keeps them; skips where there is none.

    `PRUNESEARCH_TEST_DATA` names it; else `data/` in the checkout, or beside it.
    """
    named = os.environ.get("PRUNESEARCH_TEST_DATA")
    places = [Path(named)] if named else [ROOT / "data", ROOT.parent / "data", ROOT.parent / "shared" / "data"]
    for place in places:
        if (place / "MNIST" / "raw").is_dir():
            return place
    pytest.skip(f"no MNIST archives in {', '.join(map(str, places))}; PRUNESEARCH_TEST_DATA names the folder")


@pytest.fixture(scope="session")
def data_dir(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the archives, which torchvision unpacks in place."""
    copy = tmp_path_factory.mktemp("data")
    for name in ("MNIST", "FashionMNIST"):
        if (archives / name / "raw").is_dir():
            shutil.copytree(archives / name / "raw", copy / name / "raw", ignore=shutil.ignore_patterns("*-ubyte"))
    return copy


@pytest.fixture
def plugins_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Criteria that a test registers are forgotten after it."""
    from prunesearch import catalogue
    from prunesearch.criteria import registry

    monkeypatch.setattr(registry, "_PLUGINS", registry._Plugins())
    known = dict(catalogue._CATALOGUE.known)
    yield
    catalogue._CATALOGUE.known.clear()
    catalogue._CATALOGUE.known.update(known)

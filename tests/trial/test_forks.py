"""Tasks with code of their own share epochs after a fork of theirs was equal to the original, and only then."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from prunesearch.api.forking import try_fork
from prunesearch.engines import EngineSpec
from prunesearch.errors import EnvironmentFailure
from prunesearch.results import Job
from prunesearch.training.forks import Verdict, keep_verdict, verdict_on
from prunesearch.trial import TrialRunner
from tests.trial.blobs import policy
from tests.trial.test_stages import bare

HERE = Path(__file__).with_name("own_code.py")


def spec(name: str, home: Path) -> EngineSpec:
    return EngineSpec(f"{HERE}:{name}", device="cpu", stages=str(home / "stages"))


@pytest.mark.parametrize(("name", "engine"), [("loader", "serial"), ("loop", "process"), ("optimizer", "serial")])
def test_code_without_a_memory_may_share_and_then_does(
    tmp_path: Path, name: str, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    how = spec(name, tmp_path)
    before = TrialRunner(how)
    assert not before.describe().shares
    assert f"prunesearch check --task {how.task}" in caplog.text
    assert try_fork(how, before.describe(), engine=engine) == Verdict(equal=True)
    assert [p.name for p in (tmp_path / "stages").iterdir()] == ["forks"]  # nothing is left of the trial
    after = TrialRunner(how)
    assert after.describe() == replace(before.describe(), shares=True)
    job = Job(1, policy(epochs=3, epoch_threshold=2), 3, seed=0)
    scratch, first, again = before.run(job), after.run(job), TrialRunner(how).run(job)
    assert bare(scratch) == bare(first) == bare(again)
    assert (scratch.epochs_trained, first.epochs_trained, again.epochs_trained) == (3, 3, 0)


DIFFERS = "a fork differs from the original after epoch"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hidden_generator", DIFFERS),
        ("hidden_counter", DIFFERS),
        ("optimizer_counter", DIFFERS),
        ("clock", "its data or code is another one in every process"),
        ("failing", "training failed: RuntimeError: no such thing"),
    ],
)
def test_code_that_remembers_or_fails_is_refused(
    tmp_path: Path, name: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    how = spec(name, tmp_path)
    info = TrialRunner(how).describe()
    found = try_fork(how, info, engine="serial")
    assert not found.equal and found.reason.startswith(reason)
    if name != "clock":  # which is another task by now
        caplog.clear()
        assert not TrialRunner(how).describe().shares
        assert found.reason in caplog.text


@pytest.mark.parametrize(("deed", "engine", "told"), [("memory", "serial", "out of memory"), ("killed", "process", "SIGKILL")])
def test_a_failure_that_passes_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, engine: str, told: str
) -> None:
    order = tmp_path / "order"
    monkeypatch.setenv("PASSING", str(order))
    how = spec("passing", tmp_path)
    info = TrialRunner(how).describe()
    order.write_text(deed)
    with pytest.raises(EnvironmentFailure, match=f"whether epochs can be shared was not found out: .*{told}"):
        try_fork(how, info, engine=engine)
    order.unlink(missing_ok=True)
    assert try_fork(how, info, engine="serial") == Verdict(equal=True)


def test_given_weights_are_trained_for_it_too(tmp_path: Path) -> None:
    how = spec("trained", tmp_path)
    assert try_fork(how, TrialRunner(how).describe(), engine="serial") == Verdict(equal=True)


def test_a_verdict_is_for_one_task_and_one_device_and_is_asked_once(tmp_path: Path) -> None:
    info = TrialRunner(spec("loader", tmp_path)).describe()
    assert verdict_on(tmp_path, info) is None
    keep_verdict(tmp_path, info, Verdict(False, "a reason"))
    assert verdict_on(tmp_path, info) == Verdict(False, "a reason")
    assert try_fork(replace(spec("loader", tmp_path), stages=str(tmp_path)), info) == Verdict(False, "a reason")
    assert verdict_on(tmp_path, replace(info, digest="other")) is None
    assert verdict_on(tmp_path, replace(info, device="cuda:0 NVIDIA H200")) is None
    cards = [replace(info, device=f"cuda:{i} NVIDIA H200") for i in (0, 1)]
    keep_verdict(tmp_path, cards[0], Verdict(equal=True))
    assert verdict_on(tmp_path, cards[1]) == Verdict(equal=True)


def test_a_damaged_verdict_is_none(tmp_path: Path) -> None:
    info = TrialRunner(spec("loader", tmp_path)).describe()
    keep_verdict(tmp_path, info, Verdict(equal=True))
    for path in (tmp_path / "forks").iterdir():
        path.write_text('{"equal": tr')
    assert verdict_on(tmp_path, info) is None


def test_without_sharing_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TrialRunner(EngineSpec(f"{HERE}:loader", device="cpu"))
    assert caplog.text == ""

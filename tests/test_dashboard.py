"""Optuna's dashboard over a store of ours, in a real browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note, save_note

import prunesearch as ps
from prunesearch.api.choosing import stored_front
from prunesearch.dashboard import FIGURE, HOST, YOURS, annotate, server, trial_note
from prunesearch.errors import EnvironmentFailure
from prunesearch.report.points import study_figure
from prunesearch.report.words import number
from prunesearch.store import Store
from prunesearch.store.optuna_storage import optuna_storage

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A rehearsed study, annotated."""
    found = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'studies.db'}"
    ps.search("quickstart", trials=12, engine="fake", store=found)
    attach(found)
    return found


def attach(url: str) -> None:
    with Store.open(url) as store:
        record = store.study("quickstart")
        annotate(optuna_storage(url), store, record, stored_front(store, record))


def known(url: str) -> optuna.Study:
    return optuna.load_study(study_name="quickstart", storage=optuna_storage(url))


def trial(study: optuna.Study, number: int) -> optuna.trial.Trial:
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def test_measures_have_their_names(url: str) -> None:
    assert known(url).metric_names == ["accuracy", "params", "latency_ms"]


def test_the_study_s_note_lists_the_front(url: str) -> None:
    note, front = get_note(known(url)), ps.front("quickstart", store=url)
    listed = [int(n) for n in re.findall(r"^\| (\d+) \|", note, re.MULTILINE)]
    assert listed == [row.trial for row in front]


def test_every_front_trial_has_a_note_and_no_other(url: str) -> None:
    study, front = known(url), ps.front("quickstart", store=url)
    noted = {t.number for t in study.trials if get_note(trial(study, t.number))}
    assert noted == set(front.trials)
    first = get_note(trial(study, front[0].trial))
    assert number(front[0].measures.params) in first
    assert front[0].policy.to_yaml() in first


def test_notes_and_figure_say_what_is_not_confirmed(url: str) -> None:
    front = ps.front("quickstart", store=url)
    sure = replace(front, rows=tuple(replace(row, confirmed={"seeds": 5}) for row in front))
    assert "\n\nNot confirmed over fresh seeds" in trial_note(front[0], front)
    assert "confirmed" not in trial_note(sure[0], sure)
    with Store.open(url) as store:
        titles = [study_figure(store, store.study("quickstart"), each).layout.title.text for each in (front, sure)]
    assert titles[0] == f"{titles[1]} (not confirmed over fresh seeds)"


def test_notes_of_a_person_stay(url: str) -> None:
    study = known(url)
    ours = get_note(study)
    save_note(study, f"{ours}remember the milk")
    attach(url)
    assert get_note(known(url)) == f"{ours}remember the milk"
    save_note(study, "only mine")
    attach(url)
    assert get_note(known(url)) == f"{ours}only mine"
    save_note(study, ours)
    assert ours.endswith(YOURS)


@pytest.mark.parametrize(("note", "left"), [(YOURS, ""), (f"{YOURS}mine", "mine"), ("only mine", "only mine")])
def test_a_trial_that_left_the_front_loses_our_note_and_keeps_a_person_s(url: str, note: str, left: str) -> None:
    study, members = known(url), ps.front("quickstart", store=url).trials
    other = trial(study, next(t.number for t in study.trials if t.number not in members))
    save_note(other, f"### On the front{note}" if YOURS in note else note)
    attach(url)
    assert get_note(other) == left
    save_note(other, "")


def notes(url: str) -> dict[int, str]:
    """Trial -> its note, where it has one."""
    study = known(url)
    each = {t.number: get_note(trial(study, t.number)) for t in study.trials}
    return {number: note for number, note in each.items() if note}


def test_a_copied_study_has_its_notes_at_the_same_trials(tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path / name}.db" for name in ("old", "new"))
    ps.search("quickstart", trials=5, engine="fake", store=old, as_="before")  # so that numbers in the databases differ
    ps.search("quickstart", trials=12, engine="fake", store=old)
    attach(old)
    other = next(number for number in range(12) if number not in notes(old))
    save_note(trial(known(old), other), "a person's")
    ps.studies_copy("quickstart", new, store=old)
    assert notes(new) == notes(old)
    attach(new)
    assert notes(new) == notes(old)


def test_a_note_of_a_trial_that_the_study_has_not_is_left_alone(url: str) -> None:
    storage = optuna_storage(url)
    storage.set_study_system_attr(storage.get_study_id_from_name("quickstart"), "dashboard:99999:note_ver", 1)
    attach(url)
    assert set(notes(url)) == set(ps.front("quickstart", store=url).trials)


def test_a_study_without_a_dense_network_is_left_out(url: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'studies.db'}"
    with Store.open(url) as source, Store.open(store, write=True) as made:
        whole = source.study("quickstart")
        made.create_study("quickstart", whole.spec, whole.info, whole.code_version, whole.environment)
    attach(store)
    assert optuna.get_all_study_names(optuna_storage(store)) == []


def test_the_figure_is_replaced_not_added(url: str) -> None:
    def figures() -> set[str]:
        attributes = optuna_storage(url).get_study_system_attrs(1)
        return {key.split(":")[2] for key in attributes if key.startswith("dashboard:plot_data:")}

    assert figures() == {FIGURE}
    attach(url)
    assert figures() == {FIGURE}


def test_a_port_that_does_not_exist_is_told(url: str) -> None:
    with pytest.raises(EnvironmentFailure, match="ports are 0 to 65535"), server(optuna_storage(url), 65_536):
        pass


def test_a_port_that_is_taken_is_told(url: str) -> None:
    storage = optuna_storage(url)
    with server(storage, 0) as first:
        told = f"cannot listen on {HOST}:{first.server_port}"
        with pytest.raises(EnvironmentFailure, match=told), server(storage, first.server_port):
            pass


@pytest.fixture
def page(url: str) -> Iterator[str]:
    """Address of a dashboard that runs."""
    with server(optuna_storage(url), 0) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://{HOST}:{made.server_port}/dashboard/studies/1"
        made.shutdown()
        thread.join()


def browsed(address: str, tmp_path: Path) -> str:
    """The page as a browser has it once its scripts have run."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    how = (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,3000", "--virtual-time-budget=20000")
    ran = subprocess.run([BROWSER, *how, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=False)
    return ran.stdout


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::UserWarning")  # Optuna on importances of few trials, in the server's threads
@pytest.mark.slow
def test_a_browser_shows_objectives_and_figure(page: str, tmp_path: Path) -> None:
    shown = browsed(page, tmp_path)
    for text in ("accuracy", "params", "latency_ms", "parameters to store (log scale)", "on the front of 12 trials", "dense"):
        assert text in shown


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::UserWarning")  # Optuna on importances of few trials, in the server's threads
@pytest.mark.slow
def test_a_browser_shows_notes(page: str, url: str, tmp_path: Path) -> None:
    row = ps.front("quickstart", store=url)[0]
    assert "What you write below this line stays." in browsed(f"{page}/note", tmp_path)
    assert "On the front:" in browsed(f"{page}/trials?numbers={row.trial}", tmp_path)

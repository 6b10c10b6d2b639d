from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunesearch import catalogue, yamlfile
from prunesearch.api.templates import DYNAMIC, QUIET, SPACE
from prunesearch.hyperparameters import HYPERPARAMETERS
from prunesearch.spec import StudySpec, ready_studies
from prunesearch.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_init_writes_a_study_and_a_task_that_fit(run: Run, tmp_path: Path) -> None:
    ran = run("init")
    assert ran.code == 0
    spec = StudySpec.load(tmp_path / "my_study.yaml")
    file, _, function = spec.task.partition(":")
    assert f"def {function}(" in (tmp_path / file).read_text()
    assert "prunesearch check my_study.yaml" in ran.err


def test_init_lists_every_searched_field_with_its_own_words(run: Run, tmp_path: Path) -> None:
    run("init")
    text = (tmp_path / "my_study.yaml").read_text()
    searched = {h.name for h in HYPERPARAMETERS.values() if h.search is not None}
    assert searched == set(SPACE) | {"weight_threshold"}
    for name in (*searched, *DYNAMIC):
        assert HYPERPARAMETERS[name].help in text


def test_init_tells_of_every_field_of_a_study(run: Run, tmp_path: Path) -> None:
    run("init")
    text = (tmp_path / "my_study.yaml").read_text()
    told = {line.removeprefix("# ").partition(":")[0] for line in text.splitlines() if ": " in line or line.endswith(":")}
    assert set(StudySpec.model_fields) - told == {"description", "sensitivity"}
    quiet = [line.removeprefix("# ") for line in text.splitlines() if line.removeprefix("# ").partition(":")[0] in QUIET]
    assert len(quiet) == len(QUIET) == 9
    StudySpec.parse(yamlfile.parse("\n".join(["name: all", "task: iris-mlp", *quiet]), "template"), "template")


def test_init_states_the_defaults(run: Run, tmp_path: Path) -> None:
    run("init")
    space = StudySpec.load(tmp_path / "my_study.yaml").space
    for name in SPACE:
        h, found = HYPERPARAMETERS[name], space["ratio.default" if name == "ratio" else name]
        if name != "granularity":
            assert (found.choices or (found.low, found.high)) == h.search
            assert bool(found.log) == h.log


def test_init_never_overwrites(run: Run, tmp_path: Path) -> None:
    run("init")
    (tmp_path / "my_task.py").write_text("mine")
    ran = run("init")
    assert (ran.code, (tmp_path / "my_task.py").read_text()) == (2, "mine")
    assert "there already" in ran.err
    assert run("init", "--force").code == 0
    assert (tmp_path / "my_task.py").read_text() != "mine"


def test_a_definition_comes_out_as_it_went_in(run: Run) -> None:
    for name, path in ready_studies().items():
        shown = StudySpec.parse(yamlfile.parse(run("studies", "show", name).out, name))
        assert shown == StudySpec.load(path)


def test_a_ready_definition_is_copied_with_its_comments(run: Run, tmp_path: Path) -> None:
    assert run("studies", "copy", "quickstart", "mine/q.yaml").code == 0
    assert (tmp_path / "mine" / "q.yaml").read_bytes() == ready_studies()["quickstart"].read_bytes()
    again = run("studies", "copy", "quickstart", "mine/q.yaml")
    assert (again.code, "there already" in again.err) == (2, True)


def test_a_stored_definition_is_copied_to_a_file(run: Run, url: str, tmp_path: Path) -> None:
    assert run("studies", "copy", "small", "small.yaml", "--store", url).code == 0
    with Store.open(url) as store:
        assert StudySpec.load(tmp_path / "small.yaml") == StudySpec.parse(store.study("small").spec)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("studies", "show", "quikstart"), 3, "did you mean 'quickstart'?"),
        (("studies", "copy", "quickstart", "q.txt"), 2, "neither a .yaml file nor a store"),
        (("studies", "show", "nothing.yaml"), 3, "nothing.yaml"),
        (("studies", "shw"), 2, "did you mean 'show'?"),
        (("init", "my_task.py/below"), 6, "cannot write"),
    ],
)
def test_wrong_names(run: Run, tmp_path: Path, words: tuple[str, ...], code: int, message: str) -> None:
    (tmp_path / "my_task.py").write_text("")
    ran = run(*words)
    assert ran.code == code
    assert message.lower() in ran.err.lower()


BAD_FILES = [
    ("", "an empty file"),
    ("task: digits-mlp\ntrails: 3\n", "did you mean 'trials'?"),
    ("task: digits-mlp\nspace: {threshold: [0.3, 1.2], scope: [globl], treshold: 0.5}\n", "< 1.0"),
    ("!!python/object/apply:os.system ['true']\n", "tag"),
    ("task: [\n", "line"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_bad_study_files(run: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    ran = run("studies", "show", "bad.yaml")
    assert ran.code == 3
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_all_problems_of_a_file_are_listed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD_FILES[2][0])
    said = run("studies", "show", "bad.yaml").err
    assert all(name in said for name in ("space.threshold", "space.scope", "space.treshold"))


def test_a_number_with_an_exponent_is_a_number(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ok.yaml").write_text("task: digits-mlp\nspace: {weight_threshold: [1e-4, 1e-1]}\n")
    assert run("studies", "show", "ok.yaml").code == 0
    assert StudySpec.load(tmp_path / "ok.yaml").space["weight_threshold"].low == 1e-4


@pytest.mark.parametrize("name", ["quickstart", "small", "mine.yaml"])
def test_a_copy_in_a_file_has_the_name_that_was_asked_for(run: Run, url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\ntask: digits-mlp\n")
    before = StudySpec.parse(yamlfile.parse(run("studies", "show", name, "--store", url).out, name))
    assert run("studies", "copy", name, "new.yaml", "--as", "2026", "--store", url).code == 0
    assert StudySpec.load(tmp_path / "new.yaml") == before.model_copy(update={"name": "2026"})
    assert ("# The first search" in (tmp_path / "new.yaml").read_text()) == (name == "quickstart")
    assert run("studies", "copy", name, "other.yaml", "--as", "v2.yaml", "--store", url).code == 3


def test_a_copy_in_a_store_overwrites_nothing(run: Run, url: str, tmp_path: Path) -> None:
    to = f"sqlite:///{tmp_path / 'other.db'}"
    ran = run("studies", "copy", "small", to, "--force", "--store", url)
    assert (ran.code, "--as" in ran.err, (tmp_path / "other.db").exists()) == (2, True, False)


PLUGIN = """
from prunesearch.criteria import CriterionInfo, register_score
register_score(CriterionInfo("spread", "largest w - smallest w", "a test", weights=False), lambda parts, _: parts[0].weight)
"""


@pytest.mark.usefixtures("plugins_forgotten")
def test_a_study_whose_plug_in_is_not_loaded_is_shown_and_copied(run: Run, tmp_path: Path) -> None:
    (tmp_path / "crit.py").write_text(PLUGIN)
    said = "task: digits-mlp\ntrials: 2\nengine: fake\nspace: {granularity: neuron, criterion: spread}\n"
    (tmp_path / "mine.yaml").write_text(said)
    assert run("search", "mine.yaml", "--plugin", "crit.py").code == 0
    del catalogue._CATALOGUE.known["spread"]
    ran = run("studies", "show", "mine")
    assert (ran.code, "spread" in ran.out, "numerics: exact" in ran.out) == (0, True, True), ran.err
    assert run("studies", "copy", "mine", "copy.yaml", "--as", "two").code == 0
    assert yamlfile.load(tmp_path / "copy.yaml") == {**yamlfile.parse(ran.out, "shown"), "name": "two"}


def test_a_definition_as_csv_is_a_line_per_field(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("studies", "show", "quickstart", "--format", "csv").out)))
    told = {row["field"]: row["value"] for row in rows}
    assert (told["task"], told["epochs"]) == ("digits-mlp", "20")
    assert json.loads(told["objectives"]) == ["accuracy", "params", "latency_ms"]


@pytest.mark.parametrize("name", ["v2.yaml", "v2.json", "_v2", "ü"])
def test_a_name_that_no_command_could_use_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "my.yaml").write_text("task: digits-mlp\nengine: fake\ntrials: 1\n")
    ran = run("search", "my.yaml", "--as", name)
    assert (ran.code, f"'{name}'" in ran.err, "pattern" in ran.err) == (3, True, False), ran.err


@pytest.mark.parametrize(
    ("file", "name"), [("_draft.yaml", "draft"), ("über.yaml", "ber"), ("v2.json.yaml", "v2"), ("_.yaml", "study")]
)
def test_a_study_file_of_any_name_gives_one_that_commands_can_use(run: Run, tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_text("task: digits-mlp\nengine: fake\ntrials: 1\n")
    assert run("search", file).code in (0, 5)
    assert run("status", name).code == 0


@pytest.mark.parametrize(("file", "name"), [("übung.py", "bung-make_task"), ("_x.py", "x-make_task"), ("a.py", "a-make_task")])
def test_a_task_file_of_any_name_can_be_searched(run: Run, tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_text("")
    ran = run("search", "--task", f"{file}:make_task", "--engine", "fake", "--trials", "1")
    assert ran.code in (0, 5), ran.err
    assert json.loads(run("status", "--format", "json").out)["study"] == name

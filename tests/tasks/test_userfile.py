"""Tasks of users' own files: what is taken, what is told when it fails, what changes the digest."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch

from prunesearch.errors import TaskError
from prunesearch.tasks import load_task
from prunesearch.tasks.userfile import source_digest

GOOD = """
    import torch
    import prunesearch as ps
    from prunesearch.tasks import Task
    from {sibling} import WIDTH

    def make_task(seed=None):
        x = torch.zeros(8, WIDTH)
        return Task(model=lambda: torch.nn.Linear(WIDTH, 2), train=(x, torch.zeros(8, dtype=torch.long)), version=str(seed))

    def make_other(): return 3
"""


def written(folder: Path, text: str, name: str = "my_task.py") -> str:
    (folder / name).write_text(textwrap.dedent(text))
    return str(folder / name)


def test_a_users_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "WIDTH = 5", "beside_a.py")
    path = written(tmp_path, GOOD.format(sibling="beside_a"))
    task = load_task(f"{path}:make_task", seed=7)
    assert task.model()(task.train[0]).shape == (8, 2)  # type: ignore[index]
    assert (task.name, task.version) == (f"{path}:make_task", "7")


def test_what_a_users_function_draws_follows_the_seed(tmp_path: Path) -> None:
    text = """
        import torch
        from prunesearch.tasks import Task

        def make_task():
            return Task(model=lambda: torch.nn.Linear(3, 2), train=(torch.randn(8, 3), torch.zeros(8)))
    """
    ref = f"{written(tmp_path, text)}:make_task"
    one, again, other = (load_task(ref, seed=seed).train for seed in (0, 0, 1))
    assert isinstance(one, tuple) and isinstance(again, tuple) and isinstance(other, tuple)
    assert torch.equal(one[0], again[0]) and not torch.equal(one[0], other[0])


def test_a_module_is_found_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apackage").mkdir()
    written(tmp_path, "WIDTH = 5", "beside_b.py")
    written(tmp_path / "apackage", "", "__init__.py")
    written(tmp_path / "apackage", GOOD.format(sibling="beside_b"), "tasks.py")
    monkeypatch.chdir(tmp_path)
    assert load_task("apackage.tasks:make_task").name == "apackage.tasks:make_task"


FAILS = {
    "syntax error": ("def make_task(:\n  pass", "make_task", "line 1: invalid syntax", "py_compile"),
    "exception on import": ("1 / 0", "make_task", "ZeroDivisionError: division by zero", "--debug"),
    "missing package": ("import not_there_at_all", "make_task", "No module named 'not_there_at_all'", "--debug"),
    "no such function": ("def make_tusk(): ...", "make_task", "has no function 'make_task'", "did you mean 'make_tusk'"),
    "no function at all": ("make_task = 3", "make_task", "has no function 'make_task'", "none is known"),
    "exception in the function": ("def make_task(): raise KeyError('x')", "make_task", "KeyError: 'x'", "--debug"),
    "another thing returned": ("def make_task(): return 3", "make_task", "returned int", "must return a prunesearch.Task"),
    "an argument that is not offered": ("def make_task(a): ...", "make_task", "missing 1 required", "--debug"),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_fails_in_a_users_file_is_told_in_words(tmp_path: Path, name: str) -> None:
    text, function, told, hint = FAILS[name]
    with pytest.raises(TaskError, match=told) as error:
        load_task(f"{written(tmp_path, text)}:{function}")
    assert hint in (error.value.hint or "")
    assert "my_task.py" in error.value.message


def test_a_task_error_of_the_users_own_keeps_its_words(tmp_path: Path) -> None:
    text = "from prunesearch.tasks import Task\ndef make_task(): return Task(model=3, train=4)"
    with pytest.raises(TaskError, match="Task: \n  - model"):
        load_task(f"{written(tmp_path, text)}:make_task")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        load_task(str(tmp_path / "nowhere.py") + ":make_task")
    with pytest.raises(TaskError, match="No module named"):
        load_task("no_such_module_anywhere:make_task")


def test_the_source_is_the_file_and_what_it_imports_outside_of_packages(tmp_path: Path) -> None:
    beside = Path(written(tmp_path, "import numpy\nWIDTH = 5", "beside_c.py"))
    path = written(tmp_path, GOOD.format(sibling="beside_c"))
    first = source_digest(path)
    assert first == source_digest(path)
    written(tmp_path, "WIDTH = 6", "unrelated.py")
    assert first == source_digest(path)
    beside.write_text("WIDTH = 6")
    second = source_digest(path)
    written(tmp_path, GOOD.format(sibling="beside_c") + "    # a comment", "my_task.py")
    assert len({first, second, source_digest(path)}) == 3

"""Tasks of users' own files: what is taken, what is told when it fails, what changes the digest."""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from prunesearch.errors import TaskError
from prunesearch.tasks import Task, load_task
from prunesearch.tasks.sources import source_digest
from prunesearch.training.prepare import prepare

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


def test_folders_without_an_init_file_are_packages_too(tmp_path: Path) -> None:
    for name in ("models", "wandb"):
        (tmp_path / name).mkdir()
    net = Path(written(tmp_path / "models", "WIDTH = 5", "net.py"))
    path = written(tmp_path, "import wandb\nfrom models.net import WIDTH")
    first = source_digest(path)
    net.write_text("WIDTH = 6")
    assert source_digest(path) != first


def test_relative_imports_count_in_packages_and_in_files_that_try_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package_c").mkdir()
    for name, text in (("__init__.py", ""), ("net.py", "from .wide import WIDTH"), ("tasks.py", "from . import net")):
        written(tmp_path / "package_c", text, name)
    wide = Path(written(tmp_path / "package_c", "WIDTH = 5", "wide.py"))
    tried = written(tmp_path / "package_c", "try:\n    from . import wide\nexcept ImportError:\n    import wide", "tried.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    first = source_digest("package_c.tasks"), source_digest(tried)
    wide.write_text("WIDTH = 6")
    assert source_digest("package_c.tasks") != first[0] and source_digest(tried) != first[1]
    assert source_digest("no_such_module_anywhere") == ""


def test_the_source_is_the_same_in_every_process_and_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "one" / name).mkdir(parents=True)
        for file in ("__init__.py", "net.py"):
            written(tmp_path / "one" / name, f"WIDTH = '{name}'", file)
    written(tmp_path / "one", "from a.net import WIDTH\nfrom b.net import WIDTH as OTHER")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    code = "import sys\nfrom prunesearch.tasks.sources import source_digest\nprint(source_digest(sys.argv[1]))"
    found = set()
    for seed in range(6):
        command = [sys.executable, "-c", code, str(tmp_path / ("one", "two")[seed % 2] / "my_task.py")]
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(found) == 1 and len(found.pop().strip()) == 64


LAZY = """
    import torch
    from prunesearch.tasks import Task

    def net():
        from {sibling} import WIDTH
        return torch.nn.Linear(WIDTH, 2)

    def make_task():
        from {sibling} import WIDTH
        return Task(model=net, train=(torch.zeros(8, WIDTH), torch.zeros(8, dtype=torch.long)))
"""


def width(task: Task) -> int:
    assert isinstance(task.train, tuple)
    made = task.model()(task.train[0])
    assert made.shape == (8, 2)
    return int(task.train[0].shape[1])


def test_what_lies_beside_a_file_may_be_imported_while_its_task_runs(tmp_path: Path) -> None:
    written(tmp_path, "WIDTH = 5", "beside_d.py")
    assert width(load_task(f"{written(tmp_path, LAZY.format(sibling='beside_d'))}:make_task")) == 5


def test_what_lies_beside_a_module_may_be_imported_while_its_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "WIDTH = 5", "beside_e.py")
    written(tmp_path, LAZY.format(sibling="beside_e"), "module_e.py")
    monkeypatch.chdir(tmp_path)
    assert width(load_task("module_e:make_task")) == 5
    written(tmp_path, LAZY.format(sibling="beside_e").replace("(8, WIDTH)", "(8, WIDTH + 0)"), "module_e.py")
    written(tmp_path, "WIDTH = 60", "beside_e.py")
    assert width(load_task("module_e:make_task")) == 60


@pytest.mark.parametrize("text", [GOOD, LAZY], ids=["imported at once", "imported while it runs"])
def test_a_task_that_is_loaded_again_runs_what_its_files_are_now(tmp_path: Path, text: str) -> None:
    (tmp_path / "package_f").mkdir()
    inner = Path(written(tmp_path / "package_f", "WIDTH = 5", "inner.py"))
    written(tmp_path, "from package_f.inner import WIDTH", "beside_f.py")
    ref = f"{written(tmp_path, text.format(sibling='beside_f'))}:make_task"
    assert width(load_task(ref)) == 5
    inner.write_text("WIDTH = 60")
    assert width(load_task(ref)) == 60


def test_tasks_of_two_folders_have_each_their_own_modules_of_one_name(tmp_path: Path) -> None:
    refs = {}
    for number in (5, 6):
        (tmp_path / str(number)).mkdir()
        written(tmp_path / str(number), f"WIDTH = {number}", "beside_g.py")
        refs[number] = f"{written(tmp_path / str(number), LAZY.format(sibling='beside_g'))}:make_task"
    for number in (5, 6, 5):
        assert width(load_task(refs[number])) == number


def test_what_the_program_had_imported_itself_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "WIDTH = 5", "beside_h.py")
    with monkeypatch.context() as within:
        within.setattr(sys, "path", [str(tmp_path), *sys.path])
        own = importlib.import_module("beside_h")
    ref = f"{written(tmp_path, GOOD.format(sibling='beside_h'))}:make_task"
    for _ in range(2):
        load_task(ref)
        assert sys.modules["beside_h"] is own


def test_code_counts_though_a_later_task_took_its_module_away(tmp_path: Path) -> None:
    text = """
        import torch
        from prunesearch.tasks import Task
        from beside_i import Net

        def make_task():
            return Task(model=Net, train=(torch.zeros(40, 3), torch.arange(40) % 2))
    """
    net = """
        import torch

        class Net(torch.nn.Linear):
            def __init__(self): super().__init__(3, 2)
            def forward(self, x): return super().forward(x) * {by}
    """
    tasks = []
    for by in (2, 3):
        (tmp_path / str(by)).mkdir()
        written(tmp_path / str(by), net.format(by=by), "beside_i.py")
        tasks.append(load_task(f"{written(tmp_path / str(by), text)}:make_task"))
    written(tmp_path, "", "beside_i.py")
    written(tmp_path, "WIDTH = 5", "beside_j.py")
    load_task(f"{written(tmp_path, GOOD.format(sibling='beside_j'))}:make_task")
    assert "beside_i" not in sys.modules
    one, other = (prepare(task, "t", seed=0, device=torch.device("cpu")).info.digest for task in tasks)
    assert one != other


def test_folders_of_tasks_are_plain_strings_to_other_processes(tmp_path: Path) -> None:
    written(tmp_path, "WIDTH = 5", "beside_k.py")
    load_task(f"{written(tmp_path, GOOD.format(sibling='beside_k'))}:make_task")
    assert sys.path[0] == str(tmp_path)
    assert type(pickle.loads(pickle.dumps(sys.path[0]))) is str

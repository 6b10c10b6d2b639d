"""The house rules of CONTRIBUTING.md that no linter knows, and that the linter is set to the others."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("prunesearch", "tests", "benchmarks", "studies", "docs")
WRITTEN = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".sql", ""}
MACHINE = re.compile(r"(?<![\w.:])/(?:root|home|work|Users)/\w")
HOST = re.compile(r"\bhttps?://(?:[^\s/@]*@)?([\w.-]+)")
HOSTS = {"127.0.0.1", "localhost", "arxiv.org", "doi.org"}


def files() -> list[Path]:
    inside = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    top = [
        ROOT / "cli.py",
        ROOT / "Makefile",
        ROOT / "constraints.txt",
        ROOT / "pyproject.toml",
        ROOT / ".ci" / "run",
        *ROOT.glob("*.md"),
    ]
    return sorted(p for p in inside + top if p.suffix in WRITTEN)


def sources(*folders: str) -> list[Path]:
    return [p for p in files() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in folders]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function, docstrings and blank lines left out."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            told = (
                isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str)
            )
            skip = range(body[0].lineno, (body[0].end_lineno or 0) + 1) if told else range(0)
            kept = [n for n in range(node.lineno, (node.end_lineno or 0) + 1) if n not in skip and lines[n - 1].strip()]
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", len(kept)


def test_no_merge_was_left_half_done() -> None:
    mark = re.compile(r"^\s*(?:<{7}|>{7}) ", re.MULTILINE)
    assert not [str(p.relative_to(ROOT)) for p in files() if mark.search(p.read_text(encoding="utf-8"))]


def test_no_file_over_400_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in files() if p.suffix == ".py" and (n := p.read_text().count("\n")) > 400}
    assert not long


def test_no_function_over_40_lines() -> None:
    long = {name: n for p in sources("prunesearch", "tests", "benchmarks", "cli.py") for name, n in functions(p) if n > 40}
    assert not long


def test_functions_are_short_on_the_whole() -> None:
    sizes = [n for p in sources("prunesearch", "cli.py") for _, n in functions(p)]
    assert statistics.median(sizes) <= 9
    assert statistics.quantiles(sizes, n=10)[8] < 30


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    found = {f"{p.relative_to(ROOT)}: {m.group()}" for p in files() for m in MACHINE.finditer(p.read_text(encoding="utf-8"))}
    assert not found


def test_no_file_names_a_host_that_something_is_fetched_from() -> None:
    found = {
        (str(p.relative_to(ROOT)), h) for p in files() for h in HOST.findall(p.read_text(encoding="utf-8")) if h not in HOSTS
    }
    assert not found


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
    found = {
        (str(p.relative_to(ROOT)), to)
        for p in files()
        if p.suffix == ".md"
        for to in link.findall(p.read_text())
        if not (p.parent / to).exists()
    }
    assert not found


def test_versions_are_pinned_exactly() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert pins
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.!]+", pin)]


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ('"""Doc."""\n\nprint("x")\n', "T201"),
        ('"""Doc."""\n\n\ndef shown() -> None:\n    pass\n', "D103"),
        ('"""Doc."""\n\n\ndef _hidden(x):  # noqa: ANN202\n    return x\n', "ANN001"),
        ('"""Doc."""\n\ntry:\n    x = 1\nexcept:\n    x = 2\n', "E722"),
        ('"""Doc."""\n\nfrom .policy import Policy\n\nKNOWN = Policy\n', "TID252"),
        ('"""Doc."""\n\nimport pickle\n\nWRITE = pickle.dumps\n', "TID251"),
    ],
)
def test_the_linter_holds_the_package_to_the_rest(code: str, rule: str) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    command = [str(ruff), "check", "--output-format=concise", "--stdin-filename=prunesearch/new.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    assert done.returncode == 1
    assert rule in done.stdout

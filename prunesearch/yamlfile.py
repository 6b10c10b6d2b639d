"""YAML 1.2 in and out: safe, so that no tag builds an object, and `1e-4` is a number."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prunesearch.errors import DefinitionError, first_line


def parse(text: str, where: str, error: type[DefinitionError] = DefinitionError) -> Any:
    """Plain data from YAML (or JSON, which YAML 1.2 contains).

    Args:
        text: the document.
        where: its name in messages.
        error: the kind of error to raise.

    Raises:
        DefinitionError: not valid YAML, a key given twice, a tag that would build an object, or a date that there is not.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as problem:
        raise error(f"{where}: {_told(problem)}", "write plain YAML 1.2: words, numbers, lists and mappings") from None
    except (ValueError, OverflowError, RecursionError) as problem:
        told = "is nested too deeply" if isinstance(problem, RecursionError) else f"a value cannot be read: {problem}"
        raise error(f"{where}: {told}", "write plain YAML 1.2; what only looks like a date needs quotes") from None


def load(path: str | Path, error: type[DefinitionError] = DefinitionError) -> Any:
    """Plain data from a YAML or JSON file.

    Raises:
        DefinitionError: the file cannot be read, or is not valid YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}", "give the path of a YAML file that exists") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: is not a text file ({problem.reason})", "give the path of a YAML file, in UTF-8") from None
    return parse(text, str(path), error)


def dump(data: Mapping[str, Any]) -> str:
    """YAML text of plain data, one key a line, in the order given."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # fields in the order of the table
    out = io.StringIO()
    yaml.dump(dict(data), out)
    return out.getvalue()


def _told(problem: YAMLError) -> str:
    mark = getattr(problem, "problem_mark", None)
    text = getattr(problem, "problem", None) or first_line(problem)
    return f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else str(text)

"""Definitions and stored studies: `init`, `studies`, `studies_show`, `studies_copy`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunesearch import yamlfile
from prunesearch.api.about import version
from prunesearch.api.arguments import documented
from prunesearch.api.settings import store_url
from prunesearch.api.templates import TASK, study_template
from prunesearch.errors import EnvironmentFailure, StoreError, StudyError, UsageError, did_you_mean
from prunesearch.spec import StudySpec, ready_studies

if TYPE_CHECKING:
    from prunesearch.store import Store


@dataclass(frozen=True)
class StudyLine:
    """One line of `studies`: a ready or a stored study.

    Args:
        name: the study's name.
        where: "ready" or "stored".
        task: what it prunes.
        finished: trials of a stored study with a result, None of a ready one.
        total: trials that it shall have.
        active: when something was last written for it (UTC), None of a ready one.
        description: one line.
    """

    name: str
    where: str
    task: str
    finished: int | None
    total: int
    active: str | None
    description: str


@documented
def studies(*, store: str | None = None) -> list[StudyLine]:
    """List the ready studies that come with prunesearch and the studies of the store.

    Returns:
        Ready ones first, then stored ones, the oldest first.

    Raises:
        StoreError: the store cannot be read. One that is not there yet holds no studies.
    """
    ready = [_ready_line(StudySpec.load(path)) for path in ready_studies().values()]
    opened = _existing(store)
    if opened is None:
        return ready
    with opened as stored:
        return ready + [_stored_line(stored, s.name, s.spec, s.active_at) for s in stored.studies()]


@documented
def studies_show(study: str, *, store: str | None = None) -> dict[str, Any]:
    """Show the definition of a ready or stored study, with everything that is not said at its default.

    A stored study is looked for first, a ready one next.

    Raises:
        StudyError: there is none of that name.
    """
    return definition(study, store).to_dict()


@documented
def studies_copy(study: str, to: str, *, as_: str | None = None, store: str | None = None, force: bool = False) -> str:
    """Copy a study: its definition to a .yaml file that you can edit, or all of it, trials too, to the store of a URL.

    Returns:
        The file's path, or the name of the copy in the other store.

    Raises:
        StudyError: there is no study of that name, or the other store has one of that name.
        UsageError: the file is there already, and not `force`.
        EnvironmentFailure: it cannot be written.
        StoreError: a store cannot be read or written.
    """
    if "://" in to:
        return _copy_stored(study, to, as_, store)
    target = Path(to)
    if target.suffix not in (".yaml", ".yml"):
        raise UsageError(f"'{to}' is neither a .yaml file nor a store", "write my_study.yaml, or sqlite:///copy.db")
    ready = ready_studies().get(study)
    stored = _stored_spec(study, store)
    text = ready.read_text(encoding="utf-8") if ready and stored is None else yamlfile.dump(definition(study, store).to_dict())
    write_file(target, text, force)
    return str(target)


@documented
def init(to: str = ".", *, force: bool = False) -> list[str]:
    """Write a study file and a task file to start from; they run as they are.

    Returns:
        The paths of the two files.

    Raises:
        UsageError: one of them is there already, and not `force`.
        EnvironmentFailure: they cannot be written.
    """
    folder = Path(to)
    study, task = folder / "my_study.yaml", folder / "my_task.py"
    refuse_existing([study, task], force)
    write_file(study, study_template(study.stem, f"{task.name}:make_task"), force=True)
    write_file(task, TASK, force=True)
    return [str(study), str(task)]


def definition(study: str, store: str | None) -> StudySpec:
    """The definition of a study file, a stored study or a ready one, looked for in that order.

    Raises:
        StudyError: there is none.
    """
    if study.endswith((".yaml", ".yml", ".json")):
        return beside(StudySpec.load(study), Path(study))
    stored = _stored_spec(study, store)
    if stored is not None:
        return stored
    ready = ready_studies()
    if study not in ready:
        known = [*ready, *(_names(store))]
        raise StudyError(f"no study is called '{study}'", f"{did_you_mean(study, known)} ('prunesearch studies' lists them)")
    return StudySpec.load(ready[study])


def _copy_stored(study: str, to: str, as_: str | None, store: str | None) -> str:
    from prunesearch.store import Store

    with Store.open(store_url(store)) as source, Store.open(to, write=True, code_version=version()) as target:
        return source.copy_study(study, target, as_).name


def beside(spec: StudySpec, path: Path) -> StudySpec:
    """`spec` with a task file that lies beside the study file told from the current folder."""
    file, colon, function = spec.task.partition(":")
    near = path.parent / file
    if not file.endswith(".py") or Path(file).is_absolute() or Path(file).exists() or not near.exists():
        return spec
    return spec.model_copy(update={"task": f"{os.path.relpath(near)}{colon}{function}"})


def _existing(store: str | None) -> Store | None:
    """The store opened for reading, None where the default one was not made yet."""
    from prunesearch.store import Store

    url = store_url(store)
    try:
        return Store.open(url)
    except StoreError:
        path = url.removeprefix("sqlite:///")
        if path != url and not Path(path).exists() and Path(path).parent.is_dir():
            return None
        raise


def _stored_spec(study: str, store: str | None) -> StudySpec | None:
    opened = _existing(store)
    if opened is None:
        return None
    with opened as stored:
        found = [s.spec for s in stored.studies() if s.name == study]
    return StudySpec.parse(found[0], f"stored study '{study}'") if found else None


def _names(store: str | None) -> list[str]:
    opened = _existing(store)
    if opened is None:
        return []
    with opened as stored:
        return [s.name for s in stored.studies()]


def _ready_line(spec: StudySpec) -> StudyLine:
    return StudyLine(spec.name, "ready", spec.task, None, spec.trials, None, spec.description)


def _stored_line(store: Store, name: str, spec: Any, active: str) -> StudyLine:
    done = store.ended(name)
    return StudyLine(name, "stored", spec.get("task", ""), done, spec.get("trials", 0), active, spec.get("description", ""))


def refuse_existing(files: list[Path], force: bool) -> None:
    """Refuse to write over what is there, unless `force`.

    Raises:
        UsageError: a file is there already.
    """
    there = [str(f) for f in files if f.exists()]
    if there and not force:
        told = f"{there[0]} is" if len(there) == 1 else f"{' and '.join(there)} are"
        raise UsageError(f"{told} there already", "give another path, or --force")


def write_file(path: Path, text: str, force: bool) -> None:
    """Write text to a file, in a folder that is made where it is missing.

    Raises:
        UsageError: the file is there already, and not `force`.
        EnvironmentFailure: it cannot be written.
    """
    refuse_existing([path], force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFailure(f"cannot write '{path}': {reason}", "give a folder that you may write to") from None

"""Definitions and stored studies: `init`, `studies`, `studies_show`, `studies_copy`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunesearch import yamlfile
from prunesearch.api.about import version
from prunesearch.api.arguments import documented
from prunesearch.api.settings import store_url
from prunesearch.api.templates import TASK, study_template
from prunesearch.drafts import beside, writing
from prunesearch.errors import StoreError, StudyError, UsageError, did_you_mean
from prunesearch.spec import STUDY_FILES, StudySpec, name_from, ready_studies

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
    return _plain(study, store)


@documented
def studies_copy(study: str, to: str, *, as_: str | None = None, store: str | None = None, force: bool = False) -> str:
    """Copy a study: its definition to a .yaml file that you can edit, or all of it, trials too, to the store of a URL.

    Returns:
        The file's path, or the name of the copy in the other store.

    Raises:
        StudyError: there is no study of that name, the other store has one of that name, or `as_` is none that a study may have.
        UsageError: the file is there already, and not `force`; in a store nothing is overwritten, with `force` or without.
        EnvironmentFailure: it cannot be written.
        StoreError: a store cannot be read or written.
    """
    if as_:
        StudySpec.parse({"name": as_, "task": "any"}, "--as")
    if "://" in to:
        if force:
            raise UsageError("--force is for files: in a store nothing is overwritten", "give the copy another name with --as")
        return _copy_stored(study, to, as_, store)
    target = Path(to)
    if target.suffix not in (".yaml", ".yml"):
        raise UsageError(f"'{to}' is neither a .yaml file nor a store", "write my_study.yaml, or sqlite:///copy.db")
    write_file(target, _text(study, as_, store), force)
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


def study_from(study: str | Path | StudySpec | None, given: dict[str, Any], store: str | None) -> StudySpec:
    """The study with what was given on the command line in place of its own.

    Args:
        study: definition, file, ready or stored study; None: a study of `given["task"]` alone.
        given: fields of the study, None where nothing was said.
        store: where stored studies are looked for.

    Raises:
        UsageError: neither a study nor a task was named.
        StudyError: there is no such study, or it is not valid with what was given.
    """
    said = {k: v for k, v in given.items() if v is not None}
    if study is None:
        if "task" not in said:
            raise UsageError("nothing to search was named", "give a study such as quickstart, or --task my_task.py:make_task")
        name = name_from(said["task"].replace(".py:", "-").replace(".npz", "").strip("./"))  # my_task.py:make -> my_task-make
        return StudySpec.parse({"name": name, **said}, "command line")
    found = study if isinstance(study, StudySpec) else definition(str(study), store)
    return StudySpec.parse({**found.to_dict(), **said}, found.name)


def definition(study: str, store: str | None) -> StudySpec:
    """The definition of a study file, a stored study or a ready one, looked for in that order.

    Raises:
        StudyError: there is none.
    """
    if study.endswith(STUDY_FILES):
        return _near(StudySpec.load(study), Path(study))
    stored = _stored(study, store)
    if stored is not None:
        return StudySpec.parse(stored, f"stored study '{study}'")
    ready = ready_studies()
    if study not in ready:
        known = [*ready, *(_names(store))]
        raise StudyError(f"no study is called '{study}'", f"{did_you_mean(study, known)} ('prunesearch studies' lists them)")
    return StudySpec.load(ready[study])


def _text(study: str, name: str | None, store: str | None) -> str:
    """A definition as YAML, under another name where one is given; a ready one with its comments."""
    ready = ready_studies().get(study)
    if ready is None or _stored(study, store) is not None:
        return yamlfile.dump(_plain(study, store) | ({"name": name} if name else {}))
    text = ready.read_text(encoding="utf-8")
    return re.sub(r"^name: .*\n", yamlfile.dump({"name": name}), text, flags=re.MULTILINE) if name else text


def _plain(study: str, store: str | None) -> dict[str, Any]:
    """A definition as plain data; a stored one unchecked, for its criterion may be a plug-in's that nobody has loaded."""
    stored = None if study.endswith(STUDY_FILES) else _stored(study, store)
    if stored is None:
        return definition(study, store).to_dict()
    return {**StudySpec(name="any", task="any").to_dict(), **stored}


def _copy_stored(study: str, to: str, as_: str | None, store: str | None) -> str:
    from prunesearch.store import Store

    with Store.open(store_url(store)) as source, Store.open(to, write=True, code_version=version()) as target:
        return source.copy_study(study, target, as_).name


def _near(spec: StudySpec, path: Path) -> StudySpec:
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


def _stored(study: str, store: str | None) -> Mapping[str, Any] | None:
    """A stored definition, as it is stored."""
    opened = _existing(store)
    if opened is None:
        return None
    with opened as stored:
        return next((s.spec for s in stored.studies() if s.name == study), None)


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
        UsageError: a file is there already, or with `force` a folder.
        EnvironmentFailure: a path is none that can be written.
    """
    for file in files:
        with writing(file):
            if file.is_dir():
                raise UsageError(f"'{file}' is a folder", "give the path of a file")
    there = [str(f) for f in files if f.exists()]
    if there and not force:
        told = f"{there[0]} is" if len(there) == 1 else f"{' and '.join(there)} are"
        raise UsageError(f"{told} there already", "give another path, or --force")


def write_file(path: Path, text: str, force: bool) -> None:
    """Write text to a file, in a folder that is made where it is missing; what was there stays until the new text is whole.

    Raises:
        UsageError: the file is there already, and not `force`.
        EnvironmentFailure: it cannot be written.
    """
    refuse_existing([path], force)
    with beside(path) as draft:
        put_text(draft, text, path, force)


def put_text(draft: Path, text: str, path: Path, force: bool) -> None:
    """Write text at `draft`, which `beside` has made, and move it to `path`.

    Raises:
        UsageError: the file is there meanwhile, and not `force`.
        EnvironmentFailure: it cannot be written.
    """
    refuse_existing([path], force)
    with writing(path):
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)

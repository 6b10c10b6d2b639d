"""Optuna's dashboard over the store, with what it does not know: measure names, notes on front trials, our own front.

The dashboard shows infeasible trials as best, so the Pareto figure is ours. What a person has written into a note stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prunesearch.errors import EnvironmentFailure
from prunesearch.front import Front, FrontRow
from prunesearch.report.findings import compare, finding, maximizes, versus
from prunesearch.report.points import study_figure
from prunesearch.report.tables import UNCONFIRMED
from prunesearch.report.words import number, policy_words
from prunesearch.results import MEASURES

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage

    from prunesearch.store import Store, StudyRecord

HOST = "127.0.0.1"
FIGURE = "pareto-front"
"""The figure's id, so that it is replaced and not added again."""
YOURS = "\n\n---\n*What you write below this line stays.*\n"
LUCK = f"{UNCONFIRMED.capitalize()}: expect a part of the lead to be luck."


@dataclass(frozen=True)
class Annotated:
    """What was attached to one study: notes on how many trials."""

    study: str
    notes: int


def annotate(storage: RDBStorage, store: Store, study: StudyRecord, front: Front) -> Annotated:
    """Attach measure names, notes and the Pareto figure to a study of Optuna's tables, in place of earlier ones.

    Trials that have left the front lose their notes, but for what a person has written there. Optuna has a study once its
    dense network is measured; until then there is nothing to attach to.

    Args:
        storage: Optuna's storage over the same database.
        store: ours, for reading.
        study: the study.
        front: its front.
    """
    import optuna
    from optuna_dashboard import save_plotly_graph_object

    if study.name not in optuna.get_all_study_names(storage):
        return Annotated(study.name, 0)
    known = optuna.load_study(study_name=study.name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    if known.metric_names is None:
        known.set_metric_names(list(front.directions))
    _note(known, study_note(study, front))
    for row in front:
        _note(_trial(known, storage, row.trial), trial_note(row, front))
    _withdraw(known, storage, front)
    save_plotly_graph_object(known, study_figure(store, study, front), graph_object_id=FIGURE)
    return Annotated(study.name, len(front))


def study_note(study: StudyRecord, front: Front) -> str:
    """What was found, as Markdown."""
    lines = [f"### {study.name}: pruning {study.spec['task']}"]
    if not front.rows:
        return "\n\n".join([*lines, "No feasible policy yet."])
    lines += [f"**{finding(front)}.**", _table(front), LUCK]
    return "\n\n".join(
        [*lines, f"`prunesearch front {study.name}` lists them, `prunesearch export {study.name} --knee` ships one."]
    )


def trial_note(row: FrontRow, front: Front) -> str:
    """What the trial did and measured, as Markdown."""
    lines = [f"### On the front: {policy_words(row.policy)}"]
    if front.dense:
        lines.append(f"Against the dense network: **{versus(compare(row.measures, front.dense, maximize=maximizes(front)))}**.")
    if not row.confirmed:
        lines.append(LUCK)
    dense = front.dense.to_dict() if front.dense else {}
    measured = {name: value for name, value in row.measures.to_dict().items() if value is not None}
    table = ["| measure | pruned | dense network |", "|---|---:|---:|"]
    table += [f"| {n} | {number(measured[n])} | {number(dense.get(n))} |" for n in MEASURES if n in measured]
    lines += ["\n".join(table), f"```yaml\n{row.policy.to_yaml()}```"]
    return "\n\n".join([*lines, f"`prunesearch export {front.study} --trial {row.trial}` ships it."])


@contextmanager
def server(storage: RDBStorage, port: int) -> Iterator[WSGIServer]:
    """Optuna's dashboard, ready to `serve_forever`; its port is `server_port`.

    Raises:
        EnvironmentFailure: the port is taken, or there is no such port.
    """
    from optuna_dashboard import wsgi

    hint = "give another one with --port, or --port 0 for any that is free"
    try:
        made = make_server(HOST, port, wsgi(storage), server_class=_Threads, handler_class=_Quiet)
    except OSError as error:
        raise EnvironmentFailure(f"cannot listen on {HOST}:{port}: {error.strerror}", hint) from None
    except OverflowError:
        raise EnvironmentFailure(f"cannot listen on {HOST}:{port}: ports are 0 to 65535", hint) from None
    with made:
        yield made


class _Threads(ThreadingMixIn, WSGIServer):
    """One thread per request, none of which keeps the program alive."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """No line per request."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _trial(study: Study, storage: RDBStorage, number: int) -> Any:
    """Optuna's handle of a trial, as `save_note` wants it."""
    from optuna.trial import Trial

    identity = storage.get_study_id_from_name(study.study_name)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(identity, number))


def _withdraw(study: Study, storage: RDBStorage, front: Front) -> None:
    """Take our notes from trials that are not on the front."""
    from optuna.trial import Trial

    from prunesearch.store.copying import NOTE

    study_id = storage.get_study_id_from_name(study.study_name)
    noted = {int(found[1]) for key in storage.get_study_system_attrs(study_id) if (found := NOTE.fullmatch(key))}
    for trial in storage.get_all_trials(study_id, deepcopy=False):
        if trial._trial_id in noted and trial.number not in front.trials:
            _note(Trial(study, trial._trial_id), None)


def _note(target: Any, text: str | None) -> None:
    """Save a note in place of our earlier one, or with None no note; what a person has added stays."""
    from optuna_dashboard import get_note, save_note

    old = get_note(target)
    _, mark, added = old.partition(YOURS)
    mine = added if mark else old
    new = mine if text is None else text + YOURS + mine
    if new != old:
        save_note(target, new)


def _table(front: Front) -> str:
    """The front as Markdown."""
    head = ["trial", *front.directions, "policy"]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    for row in front:
        figures = [number(getattr(row.measures, name)) for name in front.directions]
        lines.append(f"| {' | '.join([str(row.trial), *figures, policy_words(row.policy)])} |")
    return "\n".join(lines)

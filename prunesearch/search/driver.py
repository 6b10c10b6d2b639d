"""`run_search`: drives a study to its end. Glue: what to do next is decided in `decide`, and done in `performer`.

open or create the study -> write what was kept in files -> dense reference -> mend what dead drivers left
loop: take a ticket -> ask -> known already? reuse : engine
engine -> result -> judge -> our tables (one transaction) -> constraints, tell -> front changed? record it
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from optuna.storages import RDBStorage

from prunesearch.engines.base import Engine
from prunesearch.errors import StudyError, TaskError, TrialError
from prunesearch.front import directions_of
from prunesearch.results import DenseReference, Job, TaskInfo
from prunesearch.search import events
from prunesearch.search import steps as d
from prunesearch.search.decide import State, decide
from prunesearch.search.dense import dense_reference
from prunesearch.search.events import Listener, deaf
from prunesearch.search.exact import remeasure
from prunesearch.search.folders import claim
from prunesearch.search.fronts import Growing, Keep
from prunesearch.search.heart import Heart
from prunesearch.search.ledger import Reconciled, reconcile
from prunesearch.search.memory import BEAT_SECONDS, Memory, study_exists
from prunesearch.search.opening import Opened, find, open_study, resolved, total_of
from prunesearch.search.outbox import PATIENCE, Letter, Outbox, refuse_strange
from prunesearch.search.outcome import Counted, SearchOutcome, Stopwatch, nothing_feasible
from prunesearch.search.owners import owner_name
from prunesearch.search.performer import Performer
from prunesearch.search.planner import Planner, ahead_jobs
from prunesearch.search.recorder import Recorder, Study, deliver
from prunesearch.search.sampler import WARNINGS
from prunesearch.search.signals import Interrupted, StopFlag
from prunesearch.spec import StudySpec
from prunesearch.store import ENDED, Store
from prunesearch.store.optuna_storage import close_storage, optuna_storage

_GLANCE = 5.0  # seconds after which a waiting driver looks at its deadline


def run_search(
    spec: StudySpec,
    store: Store,
    engine: Engine,
    home: str | Path,
    more: int | None = None,
    listener: Listener | None = None,
    *,
    keep: Keep = "front",
    artifacts: str | Path | None = None,
    patience: float = PATIENCE,
    shared: bool = False,
) -> SearchOutcome:
    """Search until the study has its trials, its time is over, or somebody stops it. The same call goes on later.

    Args:
        spec: the study.
        store: open for writing.
        engine: an open engine for the study's task; it is not closed.
        home: PRUNESEARCH_HOME, where results wait for a database that is away.
        more: trials to add to what the stored study was to have, in place of `spec.trials`.
        listener: is told what happens.
        keep: whose pruned networks stay in `artifacts`.
        artifacts: folder for them, one folder per study and trial; None keeps none.
        patience: seconds for which the database may be away before the search gives up.
        shared: whether the engine's trials share epochs.

    Raises:
        StudyError: the study's definition or task is not what is stored, its space or start policies are not valid, or its
            folder holds the networks of another study of its name.
        TaskError: the task does not load, or its dense network cannot be trained.
        StoreError: the database stayed away; results are kept in files, and written by the next call.
        InfeasibleError: all trials ended and none is feasible.
        EnvironmentFailure: all trials failed, or `artifacts` cannot be written.
    """
    emit = listener or deaf
    outbox = Outbox(Path(home), store.url, lambda text: emit(events.Warned(text)), patience)
    search = _Search(spec, store, engine, more, emit, outbox, shared=shared)
    folder = None if artifacts is None or keep == "none" else Path(artifacts) / spec.name
    with StopFlag() as flag:
        return search.finished() or search.begin(flag, keep, folder)


class _Search:
    """One call of `run_search`."""

    def __init__(
        self, spec: StudySpec, store: Store, engine: Engine, more: int | None, emit: Listener, outbox: Outbox, *, shared: bool
    ) -> None:
        self._given, self._store, self._emit, self._outbox = spec, store, emit, outbox
        self._shared = shared
        self._watch = Stopwatch()
        self._engine = Counted(engine, self._watch)
        self._record = find(store, spec.name)
        self._total = total_of(spec, self._record, more, store.tickets(spec.name) if self._record else ())

    def finished(self) -> SearchOutcome | None:
        """The outcome of a study that is complete already, which needs no engine; None for any other.

        Raises:
            StudyError: it was defined otherwise.
        """
        record, name = self._record, self._given.name
        if record is None or record.dense is None or record.info is None:
            return None
        resolved(self._given, self._total, record, record.info)
        tickets = self._store.tickets(name)
        if len(tickets) < self._total or any(t.state != "done" for t in tickets) or any(self._outbox.kept(name)):
            return None
        front = self._store.front(name)
        if len(front) and front.numerics == "fast":
            return None
        return self._outcome(record.dense, None)

    def begin(self, flag: StopFlag, keep: Keep, folder: Path | None) -> SearchOutcome:
        """Open the study in both sets of tables, and drive it to its end."""
        info = self._engine.describe()
        storage = optuna_storage(self._store.url)
        try:
            ways = directions_of(self._given.objectives, info.direction)
            theirs = study_exists(storage, self._given.name, ways)
            record = find(self._store, self._given.name)  # in this order: drivers make our study before Optuna's
            if theirs and record is None:
                raise StudyError(
                    f"the store has an Optuna study '{self._given.name}' that prunesearch did not make",
                    "give another name: --as NEW",
                )
            opened = open_study(self._store, self._given, record, self._total, info)
            if folder is not None:
                claim(folder, self._given.name, opened.record.created_at)
            return self._run(opened, storage, flag, keep, folder)
        finally:
            close_storage(storage)

    def _run(self, opened: Opened, storage: RDBStorage, flag: StopFlag, keep: Keep, folder: Path | None) -> SearchOutcome:
        spec, info = opened.spec, opened.info
        self._greet(opened)
        self._outbox.replay(spec.name, self._redeliver)
        try:
            ahead = self._ahead(opened)
            dense = dense_reference(spec, self._store, self._engine, opened.space.epochs, flag, self._emit, self._outbox, ahead)
        except Interrupted:
            return self._outcome(None, flag.reason)
        except TaskError:
            if self._store.study(spec.name).dense is None:  # nothing came of it: the next call may bring a mended task
                self._store.set_info(spec.name, None)
            raise
        memory = Memory(storage, spec.name, directions_of(spec.objectives, info.direction))  # now that the objectives stay
        study = Study(spec, opened.record.created_at, self._store, memory, self._outbox, dense, self._emit, self._watch)
        planner = Planner(spec.seed, spec.latency, dense, folder)
        recorder = self._recorder(study, planner, info, keep, folder)
        found = self._mended(study, recorder, quiet=opened.quiet)
        performer = Performer(study, opened.space, opened.starts, self._engine, planner, recorder, owner_name(), found)
        state = State(self._engine.slots, redo={number: t.number for number, t in found.tickets.items()})
        stopped = self._drive(performer, state, flag, memory)
        if spec.numerics == "fast" and stopped not in ("interrupt", "terminate"):
            stopped = self._measured_again(study, planner, recorder, flag) or stopped
        memory.note_run({"stopped": stopped, **self._times()})
        return self._outcome(dense, stopped)

    def _redeliver(self, letter: Letter) -> None:
        """Write a result that was kept in a file; where the trial has one already, that stays.

        Raises:
            TrialError: it is of no trial that the store has, or its trial was given up meanwhile.
        """
        refuse_strange(letter, self._store)
        if not deliver(self._store, letter) and self._store.trial(letter.study, letter.number).state == "lost":
            raise TrialError(f"trial {letter.number} was given up meanwhile, and another asked for instead")

    def _measured_again(self, study: Study, planner: Planner, recorder: Recorder, flag: StopFlag) -> str | None:
        """The front in exact numerics; why that was stopped, or None."""
        try:
            remeasure(study, self._engine, planner, recorder.latencies, flag)
        except Interrupted:
            return flag.reason
        return None

    def _ahead(self, opened: Opened) -> tuple[Job, ...]:
        """What the slots do that the dense reference leaves idle."""
        if not self._shared or not opened.info.shares or opened.info.weights_given:
            return ()
        first = [located.policy for located in opened.starts[: self._total]]
        return ahead_jobs(first, self._engine.slots, opened.spec.seed)

    def _greet(self, opened: Opened) -> None:
        spec, info = opened.spec, opened.info
        self._emit(
            events.SearchStarted(
                study=spec.name,
                total=spec.trials,
                done=self._store.ended(spec.name),
                resumed=opened.resumed,
                slots=self._engine.slots,
                objectives={**directions_of(spec.objectives, info.direction)},
                info=info,
                dimensions=opened.space.dimensions(),
            )
        )
        for text in (*opened.notes, *opened.space.notes, *filter(None, (WARNINGS.get(spec.sampler),))):
            self._emit(events.Warned(text))

    def _recorder(self, study: Study, planner: Planner, info: TaskInfo, keep: Keep, folder: Path | None) -> Recorder:
        """The recorder, with the front as it was recorded last."""
        history = self._store.front_history(study.name)
        members = history[-1].members if history else ()
        directions = directions_of(study.spec.objectives, info.direction)
        growing = Growing(study.name, directions, study.dense.measures, info.device, members, info.direction)
        return Recorder(study, planner, growing, folder, keep)

    def _mended(self, study: Study, recorder: Recorder, *, quiet: bool) -> Reconciled:
        """What earlier drivers left, set right; then the front is that of all results."""
        found = reconcile(self._store, study.memory, study.name, owner_name(), quiet=quiet)
        records = self._store.trials(study.name)
        recorder.load(records)
        for record in found.tell:
            recorder.tell_again(record.number, record.ticket or 0, record)
        ended = [r.number for r in records if r.state in ENDED]
        if ended:
            recorder.refresh(max(ended))
        for text in found.notes:
            self._emit(events.Warned(text))
        return found

    def _drive(self, performer: Performer, state: State, flag: StopFlag, memory: Memory) -> str | None:
        """The loop. However it ends, nothing stays held."""
        deadline = None if self._given.timeout is None else monotonic() + self._given.timeout - self._watch.seconds
        try:
            with Heart(memory.beat, BEAT_SECONDS) as heart:
                return self._loop(performer, state, flag, deadline, heart)
        finally:
            performer.let_go()

    def _loop(self, performer: Performer, state: State, flag: StopFlag, deadline: float | None, heart: Heart) -> str | None:
        state, actions = decide(state, d.Begin())
        todo = deque(actions)
        while not state.ended:
            reason = flag.reason or ("timeout" if deadline is not None and monotonic() > deadline else None)
            if reason is not None and reason != state.stopping and state.stopping not in ("interrupt", "terminate"):
                if flag.reason is not None:
                    performer.gather()
                event: d.Event | None = d.Stop(reason)
            elif todo:
                event = performer.perform(todo.popleft())
            else:
                heart.of((*state.running, *state.redo))
                event = self._wait(performer, flag, deadline)
            if event is not None:
                state, actions = decide(state, event)
                todo.extend(actions)
        for action in todo:
            performer.perform(action)
        return state.stopping

    def _wait(self, performer: Performer, flag: StopFlag, deadline: float | None) -> d.Event | None:
        """The next outcome of the engine as an event; None after a while without one, or at a signal."""
        left = _GLANCE if deadline is None else min(_GLANCE, max(0.05, deadline - monotonic()))
        outcome = None
        with self._watch.timing("wait"), suppress(Interrupted), flag.interruptible():
            outcome = self._engine.next(timeout=left)
        return None if outcome is None else performer.receive(outcome)

    def _outcome(self, dense: DenseReference | None, stopped: str | None) -> SearchOutcome:
        """What is handed back.

        Raises:
            InfeasibleError, EnvironmentFailure: all trials ended, and none is of any use.
        """
        name = self._given.name
        records = self._store.trials(name, *ENDED)
        error = nothing_feasible(name, records) if stopped in (None, "timeout", "exhausted") else None
        if error is not None:
            raise error
        front = self._store.front(name)
        times = self._times()
        self._emit(events.SearchEnded(name, len(records), self._total, stopped, times["seconds"], times.get("overhead")))
        return SearchOutcome(
            name,
            self._total,
            len(records),
            stopped,
            front,
            dense,
            times["seconds"],
            times.get("overhead"),
            dict(self._watch.spent),
        )

    def _times(self) -> dict[str, Any]:
        """Wall time, and the share of it that went neither into training nor into evaluation."""
        overhead = self._watch.overhead(self._engine.slots) if self._watch.spent else None
        return {"seconds": self._watch.seconds, "overhead": overhead, "spent": dict(self._watch.spent)}

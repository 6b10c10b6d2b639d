"""A real store on SQLite, and searches over it with engines that train nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prunesearch.engines.base import EngineSpec
from prunesearch.engines.fake import FakeEngine
from prunesearch.policy import Policy
from prunesearch.search.driver import run_search
from prunesearch.search.events import Event, TrialStarted
from prunesearch.search.outcome import SearchOutcome
from prunesearch.spec import StudySpec
from prunesearch.store import Store


@dataclass
class Bench:
    """Runs searches over one store and notes what they tell."""

    store: Store
    home: Path
    events: list[Event] = field(default_factory=list)

    def search(
        self, said: StudySpec, faults: Mapping[int, Sequence[Any]] | None = None, engine: Any = None, **options: Any
    ) -> SearchOutcome:
        """One call of `run_search`; `engine` in place of a fake one with these faults."""
        own = EngineSpec(said.task, said.epochs, workers=said.workers or 1)
        with engine or FakeEngine(own, faults=faults) as used:
            return run_search(said, self.store, used, listener=self.events.append, home=self.home, **options)

    def told(self, kind: type[Any]) -> list[Any]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def asked(self) -> dict[int, Policy]:
        """Ticket -> the policy that was run for it last."""
        return {event.ticket: event.policy for event in self.told(TrialStarted)}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A fresh store."""
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}", write=True) as store:
        yield Bench(store, tmp_path / "home")

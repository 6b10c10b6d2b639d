"""What one of several processes does to a shared store: `workers.py VERB URL STUDY [NUMBER]`; prints one JSON list.

take: takes tickets until there are none. queue: asks Optuna for queued trials and finishes them. open: opens the store
for writing and makes Optuna's tables. hold: begins to write, says so, and holds on until its input ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from prunesearch.store import Store


def take(url: str, study: str, total: str) -> list[int]:
    """The numbers of the tickets that this process got; every third ticket is given back once."""
    got, owner, returned = [], str(os.getpid()), set()
    with Store.open(url, write=True) as store:
        while (ticket := store.take_ticket(study, int(total), owner)) is not None:
            if ticket.number % 3 == 0 and ticket.number not in returned:
                returned.add(ticket.number)
                if not store.return_ticket(ticket):
                    raise SystemExit("a ticket that is held could not be given back")
            else:
                got.append(ticket.number)
    return got


def queue(url: str, study: str, asks: str) -> list[int]:
    """The queued values of `x` that this process was asked to run."""
    import optuna

    from prunesearch.store.optuna_storage import close_storage, optuna_storage

    storage = optuna_storage(url)
    loaded = optuna.load_study(study_name=study, storage=storage, sampler=optuna.samplers.RandomSampler(seed=os.getpid()))
    got = []
    for _ in range(int(asks)):
        trial = loaded.ask()
        got.append(trial.suggest_int("x", 0, 10_000))
        loaded.tell(trial, [0.5, 1.0])
    close_storage(storage)
    return got


def opened(url: str, _study: str) -> list[int]:
    """Nothing, after both kinds of tables were made."""
    from prunesearch.store.optuna_storage import close_storage, optuna_storage

    with Store.open(url, write=True):
        close_storage(optuna_storage(url))
    return []


def hold(url: str, study: str) -> list[int]:
    """Nothing, after the input has ended; until then a write is under way."""
    from prunesearch.store import studies
    from prunesearch.store.connect import make_engine, parse_url, writing

    engine = make_engine(parse_url(url), write=True)
    with writing(engine) as connection:
        studies.change(connection, studies.id_of(connection, study, lock=True), code_version="half-written")
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        sys.stdin.read()
    return []


VERBS: dict[str, Callable[..., list[int]]] = {"take": take, "queue": queue, "open": opened, "hold": hold}

if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    sys.stdout.write(json.dumps(VERBS[verb](*rest)))

"""`dashboard`: Optuna's dashboard over the store."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from prunesearch.api.arguments import documented
from prunesearch.api.choosing import open_store, stored_front, stored_study
from prunesearch.api.settings import store_url


@documented
def dashboard(
    study: str | None = None,
    *,
    port: int = 8080,
    store: str | None = None,
    listener: Callable[[str], None] | None = None,
) -> None:
    """Serve Optuna's dashboard on this machine, with our notes and our Pareto figure; until Ctrl-C.

    Without a study, all of them are prepared.

    Raises:
        StudyError: the study is not in the store.
        StoreError: the store cannot be read and written.
        EnvironmentFailure: the port is taken.
    """
    from prunesearch.dashboard import HOST, annotate, server
    from prunesearch.store.optuna_storage import optuna_storage

    with open_store(store) as opened:
        wanted = [stored_study(opened, study)] if study else opened.studies()
        storage = optuna_storage(store_url(store))
        for record in wanted:
            annotate(storage, opened, record, stored_front(opened, record))
    with server(storage, port) as made:
        if listener:
            listener(f"http://{HOST}:{made.server_port}/dashboard")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna\b")  # one per request, about few trials per branch
            made.serve_forever()

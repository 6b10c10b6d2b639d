"""One runner and its dense reference for all tests of trials."""

from __future__ import annotations

import pytest

from prunesearch.results import DenseReference
from prunesearch.trial import TrialRunner
from tests.trial.blobs import LATENCY, job, make_runner, reference


@pytest.fixture(scope="session")
def runner() -> TrialRunner:
    return make_runner()


@pytest.fixture(scope="session")
def dense(runner: TrialRunner) -> DenseReference:
    return reference(runner.run(job(latency=LATENCY)))

from __future__ import annotations

import pickle

import pytest

from prunesearch import errors


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("postgresql://anna:geheim@db/ps", "postgresql://anna:***@db/ps"),
        ("postgresql+psycopg://anna:ge:h@im@db:5432/ps?x=1", "postgresql+psycopg://anna:***@db:5432/ps?x=1"),
        ("postgresql://me:se/cret@h/db", "postgresql://me:***@h/db"),
        ("postgresql://me@srv:secret@h/db", "postgresql://me@srv:***@h/db"),
        ("postgresql://me:s/e@c?r:et@h/db: ask a@b, not c:d@e", "postgresql://me:***@h/db: ask a@b, not c:d@e"),
        ("a://u:p/1@h,b://v:q@h2 c://w:r/@h3", "a://u:***@h2 c://w:***@h3"),
        ("postgresql://me@srv:5432/db", "postgresql://me@srv:5432/db"),
        ("mysql://u:p@h, then redis://:q@h2", "mysql://u:***@h, then redis://:***@h2"),
        ("postgresql:///ps?user=a&password=geheim&port=1", "postgresql:///ps?user=a&password=***&port=1"),
        ("sqlite:///prunesearch.db", "sqlite:///prunesearch.db"),
        ("see http://127.0.0.1:8080/study", "see http://127.0.0.1:8080/study"),
    ],
)
def test_passwords_are_masked(given: str, told: str) -> None:
    assert errors.mask_secrets(given) == told


def test_every_error_masks_message_and_hint() -> None:
    error = errors.StoreError("cannot open postgresql://a:geheim@h/d", "check postgresql://a:geheim@h/d")
    assert "geheim" not in str(error) + str(error.hint)


def test_errors_cross_process_borders_whole() -> None:
    error = errors.MissingDataError("no data", "download it")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.hint, back.exit_code) == (errors.MissingDataError, "no data", "download it", 6)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.PolicyError, 3),
        (errors.StudyError, 3),
        (errors.TaskError, 3),
        (errors.TrialError, 3),
        (errors.NewerSchemaError, 4),
        (errors.InfeasibleError, 5),
        (errors.EnvironmentFailure, 6),
    ],
)
def test_exit_codes(kind: type[errors.PrunesearchError], code: int) -> None:
    assert kind("x").exit_code == code


def test_did_you_mean() -> None:
    assert errors.did_you_mean("treshold", ["threshold", "eps"]) == "did you mean 'threshold'?"
    assert errors.did_you_mean("zzz", ["b", "a"]) == "known: a, b"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  two  \nthree"), "two"),
        (MemoryError(), "MemoryError"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_first_line_of_an_error_that_may_say_nothing(error: Exception, line: str) -> None:
    assert errors.first_line(error) == line

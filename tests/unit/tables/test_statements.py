"""SQL files: every statement has a name and a line of purpose, and errors of Postgres mean what the table says."""

from __future__ import annotations

from importlib.resources import files

import psycopg
import psycopg_pool
import pytest

from runtime.failures import FailureKind
from tables.arrays import plain, text, times
from tables.database import failure_kind, is_transient
from tables.migrate import migrations
from tables.statements import load
from tests.histories import START

GROUPS = sorted(
    path.name.removesuffix(".sql")
    for path in files("tables").joinpath("sql").iterdir()
    if path.name.endswith(".sql") and path.name != "schema.sql"
)


@pytest.mark.parametrize("group", GROUPS)
def test_every_statement_says_its_purpose(group: str) -> None:
    for name, statement in load(group).items():
        assert statement.startswith("-- "), f"{group}.sql: {name}"


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    versions = [step.version for step in migrations()]
    assert versions == list(range(1, len(versions) + 1))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.DeadlockDetected(), FailureKind.TRANSIENT),
        (psycopg.errors.SerializationFailure(), FailureKind.TRANSIENT),
        (psycopg.errors.DiskFull(), FailureKind.TRANSIENT),
        (psycopg.errors.LockNotAvailable(), FailureKind.TRANSIENT),
        (psycopg.errors.QueryCanceled(), FailureKind.TRANSIENT),
        (psycopg.errors.AdminShutdown(), FailureKind.TRANSIENT),
        (psycopg.errors.ReadOnlySqlTransaction(), FailureKind.TRANSIENT),
        (psycopg.OperationalError("the connection is closed"), FailureKind.TRANSIENT),
        (psycopg_pool.PoolTimeout(), FailureKind.TRANSIENT),
        (ConnectionResetError(), FailureKind.TRANSIENT),
        (psycopg.errors.CheckViolation(), FailureKind.INVALID),
        (psycopg.errors.NumericValueOutOfRange(), FailureKind.INVALID),
        (psycopg.DataError("NUL"), FailureKind.INVALID),
        (psycopg.errors.UndefinedColumn(), FailureKind.BUG),
        (psycopg.errors.ObjectNotInPrerequisiteState(), FailureKind.BUG),
        (psycopg.ProgrammingError("no result"), FailureKind.BUG),
        (ValueError(), FailureKind.BUG),
    ],
)
def test_what_an_error_means(error: Exception, expected: FailureKind) -> None:
    assert failure_kind(error) is expected
    assert is_transient(error) is (expected is FailureKind.TRANSIENT)


def test_array_literals() -> None:
    assert plain([1, None, True]) == "{1,NULL,True}"
    assert times([START, None]) == "{2026-03-01T12:00:00+00:00,NULL}"
    assert text([None, None]) == "{NULL,NULL}"
    assert text([None, ""]) == [None, ""]

"""SQL files: every statement has a name and a line of purpose, and errors of Postgres mean what the table says."""

from __future__ import annotations

from importlib.resources import files

import psycopg
import psycopg_pool
import pytest

from sinks.arrays import plain, text, times
from sinks.database import Trouble, is_transient, trouble
from sinks.migrate import migrations
from sinks.statements import load
from tests.histories import START

GROUPS = sorted(
    path.name.removesuffix(".sql")
    for path in files("sinks").joinpath("sql").iterdir()
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
        (psycopg.errors.DeadlockDetected(), Trouble.TRANSIENT),
        (psycopg.errors.SerializationFailure(), Trouble.TRANSIENT),
        (psycopg.errors.DiskFull(), Trouble.TRANSIENT),
        (psycopg.errors.LockNotAvailable(), Trouble.TRANSIENT),
        (psycopg.errors.QueryCanceled(), Trouble.TRANSIENT),
        (psycopg.errors.AdminShutdown(), Trouble.TRANSIENT),
        (psycopg.errors.ReadOnlySqlTransaction(), Trouble.TRANSIENT),
        (psycopg.OperationalError("the connection is closed"), Trouble.TRANSIENT),
        (psycopg_pool.PoolTimeout(), Trouble.TRANSIENT),
        (ConnectionResetError(), Trouble.TRANSIENT),
        (psycopg.errors.CheckViolation(), Trouble.DATA),
        (psycopg.errors.NumericValueOutOfRange(), Trouble.DATA),
        (psycopg.DataError("NUL"), Trouble.DATA),
        (psycopg.errors.UndefinedColumn(), Trouble.BUG),
        (psycopg.errors.ObjectNotInPrerequisiteState(), Trouble.BUG),
        (psycopg.ProgrammingError("no result"), Trouble.BUG),
        (ValueError(), Trouble.BUG),
    ],
)
def test_what_an_error_means(error: Exception, expected: Trouble) -> None:
    assert trouble(error) is expected
    assert is_transient(error) is (expected is Trouble.TRANSIENT)


def test_array_literals() -> None:
    assert plain([1, None, True]) == "{1,NULL,True}"
    assert times([START, None]) == "{2026-03-01T12:00:00+00:00,NULL}"
    assert text([None, None]) == "{NULL,NULL}"
    assert text([None, ""]) == [None, ""]

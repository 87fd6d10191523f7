"""SQL files: one module loads each, every statement has a purpose, and Postgres errors map to failure kinds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files

import psycopg
import psycopg_pool
import pytest

from runtime.failures import FailureKind
from tables.arrays import plain, text, times
from tables.database import failure_kind, is_transient
from tables.migrate import migrations
from tables.statements import load
from tests.support.histories import START
from tests.support.paths import ROOT

GROUPS = sorted(
    path.name.removesuffix(".sql")
    for path in files("tables").joinpath("sql").iterdir()
    if path.name.endswith(".sql") and path.name != "schema.sql"
)


EXECUTES_SQL = {
    "cli/psql.py": "it runs the statement that the user typed",
    "stack/postgres.py": "it creates the embedded server's database, and imports none of our packages",
}
"""Modules outside tables/ and verdict/ that run SQL, each with its reason. Peers of benchmarks run their own."""


def our_modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module outside tests/, by its path in the repository."""
    for path in sorted(ROOT.glob("*/**/*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("tests/", ".")) and "/." not in name:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call with at least one argument, by the name of the function or method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield node.func.id, node


def test_each_sql_file_belongs_to_the_module_of_its_name() -> None:
    loaded: dict[str, set[str]] = {group: set() for group in GROUPS}
    for module, tree in our_modules():
        for name, call in calls(tree):
            argument = call.args[0]
            if name == "load" and isinstance(argument, ast.Constant) and argument.value in loaded:
                loaded[argument.value].add(module)
    expected = {group: {f"tables/{group}.py"} for group in GROUPS}
    assert loaded == expected


def test_only_tables_and_verdict_run_sql() -> None:
    found = {
        module
        for module, tree in our_modules()
        if not module.startswith(("tables/", "verdict/", "bench/"))
        and any(name in ("execute", "executemany", "copy") for name, _ in calls(tree))
    }
    assert found == set(EXECUTES_SQL)


@pytest.mark.parametrize("group", GROUPS)
def test_every_statement_has_a_comment_with_its_purpose(group: str) -> None:
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
        (psycopg.errors.ProgramLimitExceeded(), FailureKind.INVALID),
        (psycopg.DataError("NUL"), FailureKind.INVALID),
        (psycopg.errors.UndefinedColumn(), FailureKind.BUG),
        (psycopg.errors.ObjectNotInPrerequisiteState(), FailureKind.BUG),
        (psycopg.ProgrammingError("no result"), FailureKind.BUG),
        (ValueError(), FailureKind.BUG),
    ],
)
def test_each_error_has_its_meaning(error: Exception, expected: FailureKind) -> None:
    assert failure_kind(error) is expected
    assert is_transient(error) is (expected is FailureKind.TRANSIENT)


def test_array_literals() -> None:
    assert plain([1, None, True]) == "{1,NULL,True}"
    assert times([START, None]) == "{2026-03-01T12:00:00+00:00,NULL}"
    assert text([None, None]) == "{NULL,NULL}"
    assert text([None, ""]) == [None, ""]

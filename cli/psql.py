"""`campaigns psql`: runs psql on our database, or, if psql is not installed, `-c SQL` and standard input."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import psycopg

EXIT_SQL = 1
LIBPQ = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "options": "PGOPTIONS",
}
"""libpq's variables for the parts of the database URL. On a command line every user could read the password."""


def psql(context: typer.Context) -> None:
    """Open psql on the database, or run `-c SQL` (works without psql, too)."""
    from cli.console import report_invalid_settings
    from runtime.settings import InvalidSettings, read_settings

    try:
        url = read_settings().database_url.get_secret_value()
    except InvalidSettings as invalid:
        raise typer.Exit(report_invalid_settings(invalid)) from None
    raise typer.Exit(run_psql(url, context.args))


def run_psql(url: str, arguments: Sequence[str]) -> int:
    """Replace this process by psql, or run the statements of `-c` and standard input."""
    from psycopg.conninfo import conninfo_to_dict

    from runtime.settings import shell_environment

    parts = conninfo_to_dict(url)
    program = shutil.which("psql")
    if program is not None and parts.keys() <= LIBPQ.keys():
        environment = {**shell_environment(), **{LIBPQ[name]: str(value) for name, value in parts.items()}}
        sys.stdout.flush()
        os.execve(program, ["psql", *arguments], environment)  # noqa: S606 - running psql is the purpose
    return run_statements(url, arguments)


def run_statements(url: str, arguments: Sequence[str]) -> int:
    """Run `-c SQL` (several), or standard input, and print each result as a table."""
    import psycopg

    from cli.console import note
    from runtime.process import EXIT_TRANSIENT, EXIT_USAGE

    statements = _statements(arguments)
    if statements is None:
        note("psql is not installed. Without it only -c SQL, or SQL on standard input, works")
        return EXIT_USAGE
    try:
        with psycopg.connect(url, autocommit=True, application_name="campaigns-psql") as connection:
            for statement in statements or [sys.stdin.read()]:
                _run(connection, statement)
    except psycopg.OperationalError as error:
        note(str(error))
        return EXIT_TRANSIENT
    except psycopg.Error as error:
        note(str(error))
        return EXIT_SQL
    return 0


def _statements(arguments: Sequence[str]) -> list[str] | None:
    """The statements of the command line; None if it has options that only psql knows."""
    found, rest = [], list(arguments)
    while rest:
        option = rest.pop(0)
        if option in ("-c", "--command") and rest:
            found.append(rest.pop(0))
        elif option.startswith("--command="):
            found.append(option.partition("=")[2])
        else:
            return None
    return found


def _run(connection: psycopg.Connection, statement: str) -> None:
    cursor = connection.execute(statement.encode())
    while True:
        if cursor.description is None:
            print(cursor.statusmessage or "")
        else:
            _print_table([column.name for column in cursor.description], cursor.fetchall())
        if not cursor.nextset():
            return


def _print_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a result in psql's format."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, [name, *(row[at] for row in cells)])) for at, name in enumerate(names)]
    print(" " + " | ".join(name.center(width) for name, width in zip(names, widths, strict=True)))
    print("-" + "-+-".join("-" * width for width in widths) + "-")
    for row in cells:
        print(" " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"({len(rows)} row{'' if len(rows) == 1 else 's'})\n")

"""`campaigns psql`: psql on our database, or, where no psql is installed, its `-c` and standard input by ourselves."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cli.console import report_invalid_settings
from runtime.process import EXIT_TRANSIENT, EXIT_USAGE
from runtime.settings import WrongSettings, read_settings, shell_environment

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
"""The parts of the address as libpq's variables: on a command line everybody could read the password."""


def run_psql(arguments: Sequence[str]) -> int:
    """Replace this process by psql, or run the statements of `-c` and standard input."""
    try:
        url = read_settings().database_url.get_secret_value()
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    parts = conninfo_to_dict(url)
    program = shutil.which("psql")
    if program is not None and parts.keys() <= LIBPQ.keys():
        environment = {**shell_environment(), **{LIBPQ[name]: str(value) for name, value in parts.items()}}
        sys.stdout.flush()
        os.execve(program, ["psql", *arguments], environment)  # noqa: S606 - psql is what was asked for
    return run_statements(url, arguments)


def run_statements(url: str, arguments: Sequence[str]) -> int:
    """Run `-c SQL` (several), or standard input, and print each result as a table."""
    statements = _statements(arguments)
    if statements is None:
        print("psql is not installed: only -c SQL, or SQL on standard input, works without it", file=sys.stderr)
        return EXIT_USAGE
    try:
        with psycopg.connect(url, autocommit=True, application_name="campaigns-psql") as connection:
            for statement in statements or [sys.stdin.read()]:
                _run(connection, statement)
    except psycopg.OperationalError as error:
        print(error, file=sys.stderr)
        return EXIT_TRANSIENT
    except psycopg.Error as error:
        print(error, file=sys.stderr)
        return EXIT_SQL
    return 0


def _statements(arguments: Sequence[str]) -> list[str] | None:
    """The statements of the command line; None for options that only psql has."""
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
    """As psql shows it."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, [name, *(row[at] for row in cells)])) for at, name in enumerate(names)]
    print(" " + " | ".join(name.center(width) for name, width in zip(names, widths, strict=True)))
    print("-" + "-+-".join("-" * width for width in widths) + "-")
    for row in cells:
        print(" " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"({len(rows)} row{'' if len(rows) == 1 else 's'})\n")

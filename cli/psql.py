"""`campaigns psql`: runs psql on our database, or, if psql is not installed, `-c SQL` and standard input.

psql itself would wait for ever on a server that is frozen: the connection lives, and no answer comes. So while it runs,
this process checks that the server accepts a new connection, and ends psql if it stops doing so.
"""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import psycopg

    from runtime.settings import Settings

EXIT_SQL = 1
PSQL_LOST_CONNECTION = 2
"""psql's own exit code for a server that does not answer, or that went away."""
PROBE_EVERY_S = 2.0
SILENT_PROBES_MAX = 2
"""So many probes in a row without an answer end psql. Each takes 5 s at most, unless the address has another limit."""
STOP_S = 5.0
APPLICATION = "campaigns-psql"


def psql(context: typer.Context) -> None:
    """Open psql on the database, or run `-c SQL` (works without psql, too)."""
    from cli.console import report_invalid_settings
    from operations.startup import usable_settings
    from runtime.settings import InvalidSettings

    try:
        settings = usable_settings()
    except InvalidSettings as invalid:
        raise typer.Exit(report_invalid_settings(invalid)) from None
    raise typer.Exit(run_psql(settings, context.args))


def run_psql(settings: Settings, arguments: Sequence[str]) -> int:
    """Run psql, or, where it is not installed, the statements of `-c` and standard input."""
    from tables.database import answering, connection_info, parts_of

    program = shutil.which("psql")
    url = settings.database_url.get_secret_value()
    info = connection_info(url, APPLICATION)
    if program is None or parts_of(info).keys() & SECRET_PARTS:
        return run_statements(url, arguments)
    return run_program(program, info, arguments, answering(settings))


SECRET_PARTS = frozenset({"sslpassword", "oauth_client_secret"})
"""Parts of an address that only a command line could hand to psql, where every user of the machine can read them."""


def run_program(program: str, info: str, arguments: Sequence[str], answers: Callable[[], bool]) -> int:
    """Run psql until it ends, or until the server has stopped answering. Returns the exit code."""
    from psycopg.conninfo import make_conninfo

    from cli.console import note
    from runtime.process import EXIT_TRANSIENT
    from runtime.settings import shell_environment
    from tables.database import parts_of

    parts = parts_of(info)
    environment = shell_environment()
    if password := parts.pop("password", ""):
        environment["PGPASSWORD"] = password
    sys.stdout.flush()
    given = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for psql, which is in the same group
    try:
        child = subprocess.Popen([program, "-d", make_conninfo("", **parts), *arguments], env=environment)
        code = _wait(child, answers)
    finally:
        signal.signal(signal.SIGINT, given)
    if code is None:
        note("not done: PostgreSQL does not answer. To find the cause, run campaigns check")
        return EXIT_TRANSIENT
    return EXIT_TRANSIENT if code == PSQL_LOST_CONNECTION else code


def _wait(child: subprocess.Popen[bytes], answers: Callable[[], bool]) -> int | None:
    """The exit code of psql; None if it was ended because the server is silent."""
    silent = 0
    while silent < SILENT_PROBES_MAX:
        try:
            return child.wait(PROBE_EVERY_S)
        except subprocess.TimeoutExpired:
            silent = 0 if answers() else silent + 1
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return None


def run_statements(url: str, arguments: Sequence[str]) -> int:
    """Run `-c SQL` (several), or standard input, and print each result as a table."""
    import psycopg

    from cli.console import note
    from runtime.process import EXIT_TRANSIENT, EXIT_USAGE
    from tables.database import connect_now

    statements = _statements(arguments)
    if statements is None:
        note("psql is not installed. Without it only -c SQL, or SQL on standard input, works")
        return EXIT_USAGE
    try:
        with connect_now(url, application_name=APPLICATION) as connection:
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

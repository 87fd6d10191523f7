"""`campaigns db migrate`: brings the database to the schema of this version."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import typer

db = typer.Typer(help="Manage the database schema.", no_args_is_help=True)


@db.callback()
def _db() -> None:
    """Manage the database schema."""


@db.command("migrate")
def migrate() -> None:
    """Migrate the database to the schema of this version; concurrent runs are safe."""
    raise typer.Exit(run_migrate())


def run_migrate() -> int:
    """`campaigns db migrate`; returns the exit code."""
    import psycopg

    from cli.console import note, report_invalid_settings
    from cli.preparations import migrate_database
    from operations.startup import usable_settings
    from runtime.process import EXIT_BUG, EXIT_OK, EXIT_TRANSIENT
    from runtime.settings import InvalidSettings
    from tables.database import is_transient
    from tables.migrate import SchemaMismatch

    try:
        applied = migrate_database(usable_settings())
    except InvalidSettings as invalid:
        return report_invalid_settings(invalid)
    except (SchemaMismatch, psycopg.Error) as error:
        note(f"not migrated: {error}")
        return EXIT_TRANSIENT if is_transient(error) else EXIT_BUG
    for name in applied:
        note(f"applied {name}")
    if not applied:
        note("nothing to do: the schema is up to date")
    return EXIT_OK

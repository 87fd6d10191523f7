"""`campaigns db migrate`: brings the database to the schema of this version."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import DryRun, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent

db = typer.Typer(help="Manage the database schema.", no_args_is_help=True)


@db.callback()
def _db() -> None:
    """Manage the database schema."""


@db.command("migrate")
def migrate(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Migrate the database to the schema of this version; concurrent runs are safe."""
    from cli.confirmation import Consent

    raise typer.Exit(run_migrate(Consent(yes, dry_run)))


def run_migrate(consent: Consent) -> int:
    """`campaigns db migrate`; returns the exit code."""
    import psycopg

    from cli.confirmation import decline
    from cli.console import note, report_invalid_settings
    from cli.preparations import migrate_database
    from operations.startup import usable_settings
    from runtime.process import EXIT_BUG, EXIT_OK, EXIT_TRANSIENT
    from runtime.settings import InvalidSettings
    from tables.database import is_transient
    from tables.migrate import SchemaMismatch, find_missing

    try:
        settings = usable_settings()
        missing = [] if consent.may_act_at_once else find_missing(settings.database_url.get_secret_value())
        if missing:
            change = f"apply {len(missing)} migration(s) to the database: {', '.join(missing)}"
            if (ending := decline(consent, change)) is not None:
                return ending
        applied = [] if consent.is_dry else migrate_database(settings)
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

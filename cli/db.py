"""`campaigns db`: brings the database to the schema of this version, and makes a role that reads the reports."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings
    from tables.database import Connection

db = typer.Typer(help="Manage the database schema and its readers.", no_args_is_help=True)


@db.callback()
def _db() -> None:
    """Manage the database schema and its readers."""


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


@db.command("reader")
def reader(
    role: Annotated[str, typer.Argument(help="Name of the role")] = "report_reader",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Create a role that only reads the reports, or give it the password and the rights anew.

    The password is the setting CAMPAIGNS_READER_PASSWORD.
    """
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected("reader", lambda settings, found: make_role(settings, found, role, consent)))


async def make_role(settings: Settings, connection: Connection, role: str, consent: Consent) -> int:
    """Make the role, if the operator consents."""
    from cli.confirmation import decline
    from cli.console import note, printable
    from runtime.process import EXIT_OK, EXIT_USAGE
    from tables.readers import REPORTS, ReaderRefused, make_reader, role_exists

    password = settings.reader_password.get_secret_value()
    if not password:
        note(
            "No role was made: CAMPAIGNS_READER_PASSWORD is not set. Set it to a new secret: "
            'python -c "import secrets; print(secrets.token_urlsafe(24))"'
        )
        return EXIT_USAGE
    try:
        verb = "give the password and the rights anew to" if await role_exists(connection, role) else "create"
        change = f"{verb} the role {role}, which reads {', '.join(REPORTS)} and nothing else"
        if (ending := decline(consent, change)) is not None:
            return ending
        await make_reader(connection, role, password)
    except ReaderRefused as refused:
        note(printable(f"No role was made. {refused}"))
        return EXIT_USAGE
    note(printable(f"The role {role} reads the reports with the password in CAMPAIGNS_READER_PASSWORD."))
    return EXIT_OK

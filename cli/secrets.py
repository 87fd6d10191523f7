"""`campaigns secrets`: makes the secrets of an installation in containers."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import json
import secrets as randomness
from typing import Annotated

import typer

from cli.options import DryRun, Yes

RANDOM_BYTES = 24


def secrets(
    database: Annotated[
        str, typer.Option(metavar="URL", help="Address of Postgres, with its user, without a password")
    ] = "postgresql://campaigns@postgres:5432/campaigns",
    simulator: Annotated[str, typer.Option(metavar="URL", help="Address of the simulator")] = "http://simulator:8002",
    webhook: Annotated[
        str, typer.Option(metavar="URL", help="Address to which the simulator sends webhooks")
    ] = "http://ingress:8001/webhooks/whatsapp",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make the secrets that the environment lacks, once, for containers that share the folder `.campaigns`."""
    from cli.confirmation import Consent, decline
    from cli.console import note, report_invalid_settings
    from cli.pipeline import read_secrets, shell_variables, write_private
    from operations.installation import DATABASE_PASSWORD, READER_PASSWORD, Addresses, install, is_simulated
    from runtime.process import EXIT_OK, EXIT_USAGE
    from runtime.settings import PREFIX, STATE_FOLDER, InvalidSettings

    folder = STATE_FOLDER.absolute()
    if (folder / "up.lock").exists():
        note(f"{folder} belongs to `campaigns up`, which makes its own secrets. Run this command in another folder.")
        raise typer.Exit(EXIT_USAGE)
    given = shell_variables()
    try:
        made = install(
            given,
            read_secrets(folder / "secrets.json"),
            Addresses(database, simulator, webhook),
            lambda: randomness.token_urlsafe(RANDOM_BYTES),
        )
    except InvalidSettings as invalid:
        raise typer.Exit(report_invalid_settings(invalid)) from None
    names = ", ".join(sorted(made.variables))
    if (
        ending := decline(Consent(yes, dry_run), f"write to {folder}: {names or 'nothing that is not set'}")
    ) is not None:
        raise typer.Exit(ending)
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "secrets.json", json.dumps(dict(made.kept)))
    write_private(folder / "simulator.json", json.dumps(dict(made.simulator)))
    write_private(folder / "env", "".join(f"{name}={value}\n" for name, value in sorted(made.variables.items())))
    # Postgres and Grafana read a password under an account of their own. Only containers have this folder.
    reader_password = given.get(f"{PREFIX}{READER_PASSWORD}", made.kept[READER_PASSWORD])
    for name, password in (("postgres_password", made.kept[DATABASE_PASSWORD]), ("reader_password", reader_password)):
        write_private(folder / name, password)
        (folder / name).chmod(0o644)
    note(f"written to {folder}: {names}")
    if is_simulated(given):
        note("No access token is set, so the simulator replaces WhatsApp: no message reaches a person.")
    raise typer.Exit(EXIT_OK)

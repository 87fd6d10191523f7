"""`campaigns recover`: recovers a database that was restored or failed over, then enables sending again."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.recovery import NotNeeded
    from runtime.settings import Settings

EXIT_MISPLACED = 1
CHANGE = (
    "apply the kept events again, declare each attempt without a known outcome unknown, "
    "and then enable sending from this database"
)

CHANGE_COMPLETE = (
    "apply the kept events again, keep each release without a claim queued, and then enable sending from this database"
)


def recover(
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Recover even though this looks like the same database server, "
            "e.g. after restoring a snapshot in place",
        ),
    ] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="No commit is missing, because the standby that took over was synchronous: a release without a claim "
            "was not sent, and stays queued",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Apply the kept events again after a restored database or a failover, then enable sending."""
    from cli.confirmation import Consent
    from cli.console import run_command

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_command(
            lambda settings: asyncio.run(
                run_recovery(settings, consent, is_forced=force, is_complete=complete, as_json=json)
            )
        )
    )


async def run_recovery(
    settings: Settings, consent: Consent, *, is_forced: bool, is_complete: bool = False, as_json: bool
) -> int:
    """Recover if that is needed and the operator consents, and print the result."""
    from dataclasses import asdict

    import orjson

    from cli.confirmation import decline
    from cli.console import note, note_details
    from operations import recovery
    from runtime.process import EXIT_OK
    from schemas.places import OffsetMismatch

    unneeded = None if is_forced else await recovery.find_unneeded(settings)
    if unneeded is not None:
        _print_unneeded(unneeded, as_json=as_json)
        return EXIT_OK
    if (ending := decline(consent, CHANGE_COMPLETE if is_complete else CHANGE)) is not None:
        return ending
    try:
        result = await recovery.run(settings, is_forced=is_forced, is_complete=is_complete, progress=note)
    except OffsetMismatch as error:
        note(str(error))
        note_details(error)
        return EXIT_MISPLACED
    except BaseException as error:
        note_details(error)
        raise
    if isinstance(result, recovery.NotNeeded):
        _print_unneeded(result, as_json=as_json)
        return EXIT_OK
    if as_json:
        print(orjson.dumps({"needed": True, **asdict(result)}).decode())
    note(
        f"epoch {result.epoch}: {result.events} events applied, {result.rows_changed} rows changed, "
        f"{result.unknown} released attempts declared unknown, {result.kept} kept queued. Sending is enabled again."
    )
    if result.unknown:
        note(
            "The unknown ones may have been sent. Webhooks resolve those that were. After 15 minutes `campaigns "
            "unknown list` shows the rest, and `campaigns unknown retry` sends them again."
        )
    return EXIT_OK


def _print_unneeded(result: NotNeeded, *, as_json: bool) -> None:
    import orjson

    from cli.console import note

    if as_json:
        print(orjson.dumps({"needed": False, "epoch": result.epoch}).decode())
    note(f"nothing to do: the data belongs to this database server and timeline (epoch {result.epoch})")
    note("If a backup was restored on the same server, run campaigns recover --force.")

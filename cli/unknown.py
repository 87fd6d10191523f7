"""`campaigns unknown`: lists sends whose outcome is unknown, retries them, or declares them sent.

A retry may send a message twice. So it warns, needs --yes, and waits for answers that may still arrive.
"""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import CampaignOption, Json, LineLimit, RecipientIds, Yes

if TYPE_CHECKING:
    from operations.unknown_acts import UnknownOptions
    from runtime.settings import Settings

unknown = typer.Typer(
    help="List sends with an unknown outcome, retry them, or declare them sent.", no_args_is_help=True
)


@unknown.command("list")
def unknown_list(campaign: CampaignOption = None, limit: LineLimit = 100, json: Json = False) -> None:
    """List recipients whose send has an unknown outcome, and since when."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(list_unknown(settings, campaign, limit, as_json=json))))


@unknown.command("retry")
def unknown_retry(
    ids: RecipientIds = None,
    campaign: CampaignOption = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Do not wait for answers that may still arrive")] = False,
    json: Json = False,
) -> None:
    """Send to unknown recipients again. They MAY get the message twice."""
    from operations.unknown_acts import UnknownOptions
    from schemas.events import EventKind

    _run(UnknownOptions(EventKind.RETRY, tuple(ids or ()), campaign, yes, force), as_json=json)


@unknown.command("assume-sent")
def unknown_assume_sent(
    ids: RecipientIds = None, campaign: CampaignOption = None, yes: Yes = False, json: Json = False
) -> None:
    """Declare unknown recipients sent. Their campaign never sends to them again."""
    from operations.unknown_acts import UnknownOptions
    from schemas.events import EventKind

    _run(UnknownOptions(EventKind.ASSUMED_SENT, tuple(ids or ()), campaign, yes), as_json=json)


def _run(options: UnknownOptions, *, as_json: bool) -> None:
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(act_on_unknown(settings, options, as_json=as_json))))


async def list_unknown(settings: Settings, campaign: UUID | None, limit: int, *, as_json: bool) -> int:
    """Print unknown recipients, the oldest first."""
    from cli import unknown_report
    from operations import unknowns
    from runtime.process import EXIT_OK
    from tables.database import connect

    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-unknown") as connection:
        found, total = await unknowns.find(connection, campaign=campaign, limit=limit)
    unknown_report.print_list(found, total, as_json=as_json)
    return EXIT_OK


async def act_on_unknown(settings: Settings, options: UnknownOptions, *, as_json: bool) -> int:
    """Retry unknown recipients or declare them sent, and print the result."""
    from cli import unknown_report
    from cli.console import note, note_details
    from operations.options import InvalidOptions
    from operations.unknown_acts import act
    from runtime.process import EXIT_USAGE

    def on_wait() -> None:
        note("waiting until everything that was received has been applied")

    try:
        result = await act(settings, options, on_wait, unknown_report.print_selection)
    except InvalidOptions as invalid:
        note(str(invalid))
        return EXIT_USAGE
    except Exception as error:
        note_details(error)
        raise
    unknown_report.print_result(result, options.kind, as_json=as_json)
    return unknown_report.exit_code(result)

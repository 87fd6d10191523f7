"""`campaigns unknown`: lists sends whose outcome is unknown, retries them, or declares them sent.

A retry may send a message twice. So it warns before it asks, and waits for answers that may still arrive.
"""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignOption, DryRun, Json, LineLimit, RecipientIds, Yes

if TYPE_CHECKING:
    from api.unknown_acts import UnknownOptions
    from cli.confirmation import Consent
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
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Do not wait for answers that may still arrive")] = False,
    json: Json = False,
) -> None:
    """Send to unknown recipients again. They MAY get the message twice."""
    from api.unknown_acts import UnknownOptions
    from cli.confirmation import Consent
    from schemas.events import EventKind

    options = UnknownOptions(EventKind.RETRY, tuple(ids or ()), is_forced=force)
    _run(options, campaign, Consent(yes, dry_run), as_json=json)


@unknown.command("assume-sent")
def unknown_assume_sent(
    ids: RecipientIds = None,
    campaign: CampaignOption = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Declare unknown recipients sent. Their campaign never sends to them again."""
    from api.unknown_acts import UnknownOptions
    from cli.confirmation import Consent
    from schemas.events import EventKind

    options = UnknownOptions(EventKind.ASSUMED_SENT, tuple(ids or ()))
    _run(options, campaign, Consent(yes, dry_run), as_json=json)


def _run(options: UnknownOptions, campaign: str | None, consent: Consent, *, as_json: bool) -> None:
    from dataclasses import replace

    from cli.console import run_command
    from operations.campaign_names import campaign_id_of

    async def work(settings: Settings) -> int:
        only = await campaign_id_of(settings, campaign)
        return await act_on_unknown(settings, replace(options, campaign=only), consent, as_json=as_json)

    raise typer.Exit(run_command(lambda settings: asyncio.run(work(settings))))


async def list_unknown(settings: Settings, campaign: str | None, limit: int, *, as_json: bool) -> int:
    """Print unknown recipients, the oldest first."""
    from api import unknowns
    from cli import unknown_report
    from operations.campaign_names import campaign_id_of
    from runtime.process import EXIT_OK
    from tables.database import connect

    only = await campaign_id_of(settings, campaign)
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-unknown") as connection:
        found, total = await unknowns.find(connection, campaign=only, limit=limit)
    unknown_report.print_list(found, total, as_json=as_json)
    return EXIT_OK


async def act_on_unknown(settings: Settings, options: UnknownOptions, consent: Consent, *, as_json: bool) -> int:
    """Retry unknown recipients or declare them sent, if the operator consents, and print the result.

    Raises InvalidOptions if neither recipients nor a campaign are selected.
    """
    from dataclasses import replace

    from api.unknown_acts import Unconfirmed, act
    from cli import unknown_report
    from cli.confirmation import decline
    from cli.console import note, note_details
    from operations.options import InvalidOptions
    from operations.status import count_dead_answers

    def on_wait() -> None:
        note("waiting until everything that was received has been applied")

    if not options.ids and options.campaign is None:
        raise InvalidOptions("Nothing selected: give recipient ids or --campaign.")
    try:
        result = await act(
            settings,
            replace(options, is_sure=consent.may_act_at_once),
            on_wait,
            unknown_report.print_selection,
            count_dead_answers,
        )
        if isinstance(result, Unconfirmed):
            ending = decline(consent, unknown_report.change_of(options.kind, result.recipients))
            if ending is not None:
                if as_json:
                    unknown_report.print_document(result, options.kind)
                return ending
            result = await act(settings, replace(options, is_sure=True), on_wait)
    except Exception as error:
        note_details(error)
        raise
    unknown_report.print_result(result, options.kind, as_json=as_json)
    return unknown_report.exit_code(result)

"""`campaigns failed`: counts the failed recipients of a campaign by code, and sends to them again."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from uuid import UUID

    from api.failed import RetryOrder, RetryResult
    from cli.confirmation import Consent
    from domain.error_codes import ErrorClass
    from runtime.settings import Settings

failed = typer.Typer(help="Count failed recipients by code, and send to them again.", no_args_is_help=True)


@failed.command("list")
def failed_list(campaign: CampaignName, json: Json = False) -> None:
    """Count the failed recipients of a campaign by error code."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(list_failed(settings, campaign, as_json=json))))


@failed.command("retry")
def failed_retry(
    campaign: CampaignName,
    code: Annotated[list[int] | None, typer.Option(help="Error code of Meta; may be repeated")] = None,
    kind: Annotated[list[str] | None, typer.Option("--class", help="Class of codes; may be repeated")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send failed messages again, by code or class, also beyond their max_retries."""
    from cli.confirmation import Consent
    from cli.console import note, run_command
    from domain.error_codes import ErrorClass
    from runtime.process import EXIT_USAGE

    known = {each.value for each in ErrorClass}
    if wrong := [each for each in kind or () if each not in known]:
        note(f"there is no class {wrong[0]}; the classes are {', '.join(sorted(known))}")
        raise typer.Exit(EXIT_USAGE)
    classes = [ErrorClass(each) for each in kind or ()]
    raise typer.Exit(run_command(
        lambda settings: asyncio.run(
            retry(settings, campaign, code or (), classes, Consent(yes, dry_run), as_json=json)
        )
    ))  # fmt: skip


async def list_failed(settings: Settings, name: str, *, as_json: bool) -> int:
    """Print the counts, the largest first."""
    import orjson

    from cli.console import note
    from domain.error_codes import ErrorClass, error_class
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables.database import connect
    from tables.failed import count_by_code

    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-failed") as connection:
        counts = await count_by_code(connection, (await find_campaign(connection, name)).id)
    lines = [(key, error_class(int(key)) if key.isdecimal() else ErrorClass.REQUEST, n) for key, n in counts]
    if as_json:
        print(orjson.dumps([{"code": key, "class": kind, "recipients": n} for key, kind, n in lines]).decode())
        return EXIT_OK
    for key, kind, n in lines:
        print(f"{n:>10}  {key:<30} {kind}")
    if not lines:
        note("no recipient of this campaign is failed")
    return EXIT_OK


async def retry(
    settings: Settings, name: str, codes: Collection[int], classes: Collection[ErrorClass], consent: Consent, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Show how many recipients it concerns, ask, and send to them again."""
    import orjson

    from api.failed import RetryOrder
    from cli.confirmation import decline
    from cli.console import note
    from domain.lifecycle import ActionNotAllowed
    from operations.campaign_names import campaign_id_of
    from runtime.process import EXIT_OK, EXIT_USAGE
    from tables.campaigns import UnknownCampaign

    if not codes and not classes:
        note("Name the failures: --code 131042, --class request, or both. `campaigns failed list` counts them.")
        return EXIT_USAGE
    campaign = await campaign_id_of(settings, name)
    assert campaign is not None, "the argument is required"
    try:
        result = await _retry(settings, campaign, RetryOrder(codes, classes, is_dry=True))
        if result.retried and not consent.is_dry:
            if (ending := decline(consent, f"send to {result.retried} failed recipients again")) is not None:
                return ending
            result = await _retry(settings, campaign, RetryOrder(codes, classes))
    except UnknownCampaign:
        note("there is no such campaign")
        return EXIT_USAGE
    except ActionNotAllowed as refused:
        note(str(refused))
        return EXIT_USAGE
    if as_json:
        print(orjson.dumps({
            "dry_run": consent.is_dry, "retried": result.retried, "already_due": result.already_due,
            "too_young": result.too_young, "exhausted": result.exhausted,
        }).decode())  # fmt: skip
        return EXIT_OK
    word = "would be sent to" if consent.is_dry else "are sent to"
    note(f"{result.retried} failed recipients {word} again")
    for count, why in (
        (result.already_due, "are due again anyway"),
        (result.too_young, "failed less than ten minutes ago, and a delivery may still come"),
        (result.exhausted, "have no attempt left"),
    ):
        if count:
            note(f"{count} {why}")
    return EXIT_OK


async def _retry(settings: Settings, campaign: UUID, order: RetryOrder) -> RetryResult:
    from api.failed import retry_failed
    from tables import database
    from topics.publisher import AsyncPublisher

    url = settings.database_url.get_secret_value()
    publisher = AsyncPublisher(settings)
    try:
        async with database.pool(url, application_name="campaigns-failed", size=1) as pool:
            return await retry_failed(pool, publisher, settings, campaign, order)
    finally:
        await publisher.close()

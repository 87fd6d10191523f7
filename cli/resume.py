"""`campaigns resume`: sends paused campaigns again. There is no --all: an operator must know why each was paused."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignNames, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings
    from tables.campaign_names import NamedCampaign
    from tables.database import Connection
    from topics.publisher import Publisher


def resume(
    campaigns: CampaignNames,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also send again what surely was not delivered, and not for the person"),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send paused campaigns again."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from operations.pausing import SESSION

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected(
            "resume",
            lambda settings, connection: resume_campaigns(
                connection, campaigns, consent, as_json=json, retrying=settings if retry_failed else None
            ),
            session=SESSION,
        )
    )


async def resume_campaigns(
    connection: Connection,
    names: Sequence[str],
    consent: Consent,
    *,
    as_json: bool,
    retrying: Settings | None = None,
) -> int:
    """Resume each named campaign. Raises NotOneCampaign before anything is done.

    With the settings of Kafka in `retrying`, failed recipients are sent to again too. A resume alone needs no Kafka.
    """
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_all
    from tables import campaigns
    from topics.publisher import AsyncPublisher

    found = await find_all(connection, names)
    publisher = None if retrying is None else AsyncPublisher(retrying)
    try:
        lines = []
        for each in found:
            reason = (await campaigns.read(connection, each.id)).pause_reason
            line = label(each) + (f", which was paused: {reason}" if reason else f", which is {each.status}")
            if retrying is not None and publisher is not None:
                line += await _failed_again(retrying, connection, publisher, each)
            lines.append(line)

        async def before(each: NamedCampaign) -> str | None:
            if retrying is None or publisher is None:
                return None
            return await _retry(retrying, connection, publisher, each)

        change = "resume " + ",\n  ".join(lines)
        return await act_on(connection, Action.RESUME, found, consent, change, as_json=as_json, before=before)
    finally:
        if publisher is not None:
            await publisher.close()


async def _failed_again(
    settings: Settings, connection: Connection, publisher: Publisher, campaign: NamedCampaign
) -> str:
    """How many failed recipients a resume would send to again, as the end of a sentence."""
    from api.failed import retry_before_resume
    from domain.lifecycle import ActionNotAllowed

    try:
        result = await retry_before_resume(connection, publisher, settings, campaign.id, is_dry=True)
    except ActionNotAllowed:
        return ""
    return f"; {result.retried} failed recipients are sent to again"


async def _retry(
    settings: Settings, connection: Connection, publisher: Publisher, campaign: NamedCampaign
) -> str | None:
    """Send to the failed recipients again once the campaign is resumed. Returns the reason if that is refused."""
    from api.failed import retry_before_resume
    from cli.console import note, printable
    from cli.lifecycle import label
    from domain.lifecycle import ActionNotAllowed

    try:
        result = await retry_before_resume(connection, publisher, settings, campaign.id)
    except ActionNotAllowed as refused:
        return str(refused)
    note(printable(f"{result.retried} failed recipients of {label(campaign)} are sent to again"))
    if result.too_young:
        note(f"{result.too_young} failed less than ten minutes ago, and a delivery may still come")
    return None

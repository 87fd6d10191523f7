"""`campaigns resume`: sends paused campaigns again. There is no --all: an operator must know why each was paused."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignNames, DryRun, Json, Yes

TEMPLATE_REFUSED = (
    "Meta would refuse messages. Correct the recipients or the template. To resume all the same, add --ignore-template"
)

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
    ignore_template: Annotated[
        bool, typer.Option("--ignore-template", help="Resume although the template check refuses it")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send paused campaigns again. The template is compared before with the recipients that may still get a message."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from operations.pausing import SESSION

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected(
            "resume",
            lambda settings, connection: resume_campaigns(
                settings,
                connection,
                campaigns,
                consent,
                as_json=json,
                retry_failed=retry_failed,
                ignore_template=ignore_template,
            ),
            session=SESSION,
        )
    )


async def resume_campaigns(
    settings: Settings,
    connection: Connection,
    names: Sequence[str],
    consent: Consent,
    *,
    as_json: bool,
    retry_failed: bool = False,
    ignore_template: bool = False,
) -> int:
    """Resume each named campaign, unless Meta would refuse its messages. Raises NotOneCampaign before anything is done.

    `retry_failed` sends to failed recipients again, and needs Kafka. A resume alone needs no Kafka.
    """
    from cli.activate import is_sendable
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_all
    from tables import campaigns
    from topics.publisher import AsyncPublisher

    found = await find_all(connection, names)
    publisher = AsyncPublisher(settings) if retry_failed else None
    try:
        lines = []
        for each in found:
            reason = (await campaigns.read(connection, each.id)).pause_reason
            line = label(each) + (f", which was paused: {reason}" if reason else f", which is {each.status}")
            if publisher is not None:
                line += await _failed_again(settings, connection, publisher, each)
            lines.append(line)

        async def before(each: NamedCampaign) -> str | None:
            if not ignore_template and not await is_sendable(
                settings, connection, each.id, Action.RESUME, failed_too=retry_failed
            ):
                return TEMPLATE_REFUSED
            return None if publisher is None else await _retry(settings, connection, publisher, each)

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

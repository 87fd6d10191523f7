"""`campaigns activate`: plans the recipients of a draft over the days, and starts to send."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from tables.database import Connection


def activate(campaign: CampaignName, yes: Yes = False, dry_run: DryRun = False, json: Json = False) -> None:
    """Plan the recipients of a draft over the days, and start to send."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected("activate", lambda _, found: activate_campaign(found, campaign, consent, as_json=json))
    )


async def activate_campaign(connection: Connection, name: str, consent: Consent, *, as_json: bool) -> int:
    """Activate the named campaign. Raises NotOneCampaign."""
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_campaign
    from tables import campaigns, stats

    found = await find_campaign(connection, name)
    campaign = await campaigns.read(connection, found.id)
    total = (await stats.read_one(connection, found.id)).total_target
    limit = "without a daily limit" if campaign.daily_send_limit is None else f"{campaign.daily_send_limit:,} a day"
    change = (
        f"activate {label(found)}, which is {campaign.status}: template {campaign.template_name} "
        f"({campaign.language_code}) to {total:,} recipient(s), {limit}, from the number {campaign.phone_number_id}"
    )
    return await act_on(connection, Action.ACTIVATE, [found], consent, change, as_json=as_json)

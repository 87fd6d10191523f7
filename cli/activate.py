"""`campaigns activate`: plans the recipients of a draft over the days, and starts to send."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, Yes

EXIT_REFUSED = 1

if TYPE_CHECKING:
    from uuid import UUID

    from cli.confirmation import Consent
    from domain.lifecycle import Action
    from runtime.settings import Settings
    from tables.database import Connection


def activate(
    campaign: CampaignName,
    ignore_template: Annotated[
        bool, typer.Option("--ignore-template", help="Activate although the template check refuses it")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Plan the recipients of a draft over the days, and start to send. The template is checked before."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected(
        "activate",
        lambda settings, found: activate_campaign(
            settings, found, campaign, consent, ignore_template=ignore_template, as_json=json
        ),
    ))  # fmt: skip


async def activate_campaign(
    settings: Settings, connection: Connection, name: str, consent: Consent, *, ignore_template: bool, as_json: bool
) -> int:
    """Activate the named campaign, unless Meta would refuse its messages. Raises NotOneCampaign."""
    from cli.console import note
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_campaign
    from tables import campaigns, stats

    found = await find_campaign(connection, name)
    campaign = await campaigns.read(connection, found.id)
    if not ignore_template and not await is_sendable(settings, connection, found.id, Action.ACTIVATE):
        note("not activated: correct the recipients or the template. To activate all the same, add --ignore-template")
        return EXIT_REFUSED
    total = (await stats.read_one(connection, found.id)).total_target
    limit = "without a daily limit" if campaign.daily_send_limit is None else f"{campaign.daily_send_limit:,} a day"
    change = (
        f"activate {label(found)}, which is {campaign.status}: template {campaign.template_name} "
        f"({campaign.language_code}) to {total:,} recipient(s), {limit}, from the number {campaign.phone_number_id}"
    )
    return await act_on(connection, Action.ACTIVATE, [found], consent, change, as_json=as_json)


async def is_sendable(
    settings: Settings, connection: Connection, campaign_id: UUID, action: Action, *, failed_too: bool = False
) -> bool:
    """Whether the template check allows the action. What it found is printed to stderr.

    `failed_too`: the action sends to failed recipients again.
    """
    from contextlib import nullcontext

    from api.template_checks import TemplateRefused, require_template
    from cli.console import note, printable
    from cli.templates import check_lines
    from runtime.template_reader import TemplateReader

    reader = TemplateReader(settings)
    try:
        check = await require_template(
            lambda: nullcontext(connection), settings, reader, campaign_id, action, failed_too=failed_too
        )
    except TemplateRefused as refused:
        for line in check_lines(refused.check):
            note(printable(line))
        return False
    for finding in check.findings if check is not None else ():
        note(printable(f"warning: {finding.detail}"))
    return True

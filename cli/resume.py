"""`campaigns resume`: sends paused campaigns again. There is no --all: an operator must know why each was paused."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from cli.options import CampaignNames, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from tables.database import Connection


def resume(campaigns: CampaignNames, yes: Yes = False, dry_run: DryRun = False, json: Json = False) -> None:
    """Send paused campaigns again."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from operations.pausing import SESSION

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected(
            "resume",
            lambda _, connection: resume_campaigns(connection, campaigns, consent, as_json=json),
            session=SESSION,
        )
    )


async def resume_campaigns(connection: Connection, names: Sequence[str], consent: Consent, *, as_json: bool) -> int:
    """Resume each named campaign. Raises NotOneCampaign before anything is done."""
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_all
    from tables import campaigns

    found = await find_all(connection, names)
    lines = []
    for each in found:
        reason = (await campaigns.read(connection, each.id)).pause_reason
        lines.append(label(each) + (f", which was paused: {reason}" if reason else f", which is {each.status}"))
    change = "resume " + ",\n  ".join(lines)
    return await act_on(connection, Action.RESUME, found, consent, change, as_json=as_json)

"""`campaigns delete`: deletes a draft with its recipients."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from tables.database import Connection

EXIT_REFUSED = 1


def delete(campaign: CampaignName, yes: Yes = False, dry_run: DryRun = False, json: Json = False) -> None:
    """Delete a draft with its recipients. A campaign that was activated stays on record: cancel it instead."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected("delete", lambda _, found: delete_draft(found, campaign, consent, as_json=json)))


async def delete_draft(connection: Connection, name: str, consent: Consent, *, as_json: bool) -> int:
    """Delete the named draft, if the operator consents. Raises NotOneCampaign."""
    import orjson

    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from domain.lifecycle import ActionNotAllowed, CampaignStatus
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import drafts, stats

    found = await find_campaign(connection, name)
    if found.status is CampaignStatus.DRAFT:
        total = (await stats.read_one(connection, found.id)).total_target
        change = f"delete the draft {label(found)} and its {total:,} recipient(s) for good"
        if (ending := decline(consent, change)) is not None:
            return ending
    try:
        await drafts.delete(connection, found.id)
    except ActionNotAllowed as refused:
        note(printable(f"not deleted: {refused}"))
        return EXIT_REFUSED
    if as_json:
        print(orjson.dumps({"deleted": found.id}).decode())
    note(printable(f"deleted {label(found)}"))
    return EXIT_OK

"""`campaigns show`: one campaign, its progress, and the commands that are possible in its state."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from tables.database import Connection


def show(campaign: CampaignName, json: Json = False) -> None:
    """Show one campaign, its progress, and what can be done with it."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("show", lambda _, found: show_campaign(found, campaign, as_json=json)))


async def show_campaign(connection: Connection, name: str, *, as_json: bool) -> int:
    """Print the named campaign. Raises NotOneCampaign."""
    import orjson

    from api.answers import CampaignOut
    from cli.campaign_report import campaign_lines
    from cli.console import printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import campaigns, stats

    found = await find_campaign(connection, name)
    campaign = await campaigns.read(connection, found.id)
    progress = await stats.read_one(connection, found.id)
    if as_json:
        document = CampaignOut.model_validate(campaign).model_dump(mode="json")
        print(orjson.dumps({**document, "stats": progress.model_dump(mode="json")}).decode())
        return EXIT_OK
    for line in campaign_lines(campaign, progress):
        print(printable(line))
    return EXIT_OK

"""`campaigns stats`: the exact funnel of one campaign at this moment."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from tables.database import Connection


def stats(campaign: CampaignName, json: Json = False) -> None:
    """Show the exact funnel of a campaign at this moment, and the reasons of failures."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("stats", lambda _, found: print_stats(found, campaign, as_json=json)))


async def print_stats(connection: Connection, name: str, *, as_json: bool) -> int:
    """Print the stats of the named campaign, as the API answers them. Raises NotOneCampaign."""
    from cli.campaign_report import stats_lines
    from cli.console import printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import stats

    found = await find_campaign(connection, name)
    progress = await stats.read_one(connection, found.id)
    if as_json:
        print(progress.model_dump_json())
    else:
        for line in stats_lines(progress):
            print(printable(line))
    return EXIT_OK

"""`campaigns watch`: follows the progress of one campaign until it is completed or cancelled, or until Ctrl-C."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from schemas.stats import CampaignProgress
    from tables.database import Connection

ENDED = frozenset({"completed", "cancelled"})


def watch(
    campaign: CampaignName,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two lines")] = 2.0,
    json: Json = False,
) -> None:
    """Follow the progress of a campaign until it is completed or cancelled, or until Ctrl-C."""
    from cli.connected import run_connected
    from runtime.process import EXIT_OK

    try:
        ending = run_connected("watch", lambda _, found: watch_campaign(found, campaign, every, as_json=json))
    except KeyboardInterrupt:
        ending = EXIT_OK
    raise typer.Exit(ending)


async def watch_campaign(connection: Connection, name: str, every_s: float, *, as_json: bool) -> int:
    """Print a line whenever something has changed. Raises NotOneCampaign."""
    from cli.campaign_report import handled_per_second, watch_line
    from cli.console import note, printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from schemas.model import CampaignId
    from tables import stats
    from tables.campaign_names import short_id

    found = await find_campaign(connection, name)
    before: CampaignProgress | None = None
    while True:
        now = (await stats.read(connection, [CampaignId(found.id)])).get(CampaignId(found.id))
        if now is None:
            note("The campaign was deleted.")
            return EXIT_OK
        if before is None or _differs(before, now):
            per_s = None if before is None else handled_per_second(before, now)
            print(now.model_dump_json() if as_json else printable(watch_line(now, per_s)), flush=True)
        if before is None and now.status in ("draft", "paused"):
            step = "activate" if now.status == "draft" else "resume"
            note(f"It is {now.status}, so nothing is sent. To send: campaigns {step} {short_id(found.id)}")
        if now.status in ENDED:
            return EXIT_OK
        before = now
        await asyncio.sleep(every_s)


def _differs(before: CampaignProgress, now: CampaignProgress) -> bool:
    moving = {"as_of", "version", "eta"}
    return before.model_dump(exclude=moving) != now.model_dump(exclude=moving)

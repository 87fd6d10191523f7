"""`campaigns list`: a line per campaign, the newest first, with the end of its id, its status and its progress."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, LineLimit

if TYPE_CHECKING:
    from domain.lifecycle import CampaignStatus
    from tables.database import Connection

PAGE = 500
"""Campaigns of one query."""


def list_campaigns(
    status: Annotated[
        str | None, typer.Option("--status", help="Only these: draft, active, paused, completed or cancelled")
    ] = None,
    limit: LineLimit = 50,
    json: Json = False,
) -> None:
    """List campaigns, the newest first, with their status and progress."""
    from cli.connected import run_connected
    from cli.console import note
    from domain.lifecycle import CampaignStatus
    from runtime.process import EXIT_USAGE

    known = {each.value: each for each in CampaignStatus}
    if status is not None and status not in known:
        note(f"--status must be one of: {', '.join(known)}")
        raise typer.Exit(EXIT_USAGE)
    wanted = None if status is None else known[status]
    raise typer.Exit(
        run_connected("list", lambda _, connection: print_campaigns(connection, wanted, limit, as_json=json))
    )


async def print_campaigns(connection: Connection, status: CampaignStatus | None, limit: int, *, as_json: bool) -> int:
    """Print campaigns, page by page."""
    import orjson

    from api.answers import CampaignOut
    from cli.console import note, printable
    from operations.campaign_progress import progress_text
    from runtime.process import EXIT_OK
    from schemas.model import CampaignId
    from tables import campaigns, stats
    from tables.campaign_names import short_id

    shown, before, documents = 0, None, []
    while shown < limit:
        page = await campaigns.newest(connection, PAGE, before)
        found = [each for each in page if status is None or each.status is status][: limit - shown]
        read = await stats.read(connection, [CampaignId(each.id) for each in found])
        for each in found:
            progress = read.get(CampaignId(each.id))
            if progress is None:
                continue  # it was deleted meanwhile
            shown += 1
            if as_json:
                documents.append({
                    **CampaignOut.model_validate(each).model_dump(mode="json"),
                    "total": progress.total_target, "handled": progress.handled, "failed": progress.failed,
                })  # fmt: skip
            else:
                line = f"{short_id(each.id)}  {each.status:<9}  {each.name}  {progress_text(progress)}"
                print(printable(line))
        if len(page) < PAGE:
            break
        before = page[-1].id
    if as_json:
        print(orjson.dumps({"campaigns": documents}).decode())
    elif not shown:
        note(
            "There is no such campaign." if status else "There are no campaigns. To create one: campaigns create --help"
        )
    else:
        note("The first column names a campaign in other commands, such as: campaigns show " + "ID")
    return EXIT_OK

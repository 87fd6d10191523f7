"""`campaigns pause` and `campaigns resume`. Both need only Postgres, so they work while Kafka is down."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import CampaignIds, Json

if TYPE_CHECKING:
    from runtime.settings import Settings

EXIT_NOT_ALL = 1


def pause(
    campaigns: CampaignIds = None,
    everything: Annotated[bool, typer.Option("--all", help="Every active campaign")] = False,
    reason: Annotated[str, typer.Option(help="Why; shown with the campaign until it is resumed")] = "operator",
    json: Json = False,
) -> None:
    """Stop sending campaigns within two seconds."""
    raise typer.Exit(run_pause(campaigns or [], reason, is_all=everything, as_json=json))


def resume(campaigns: Annotated[list[UUID], typer.Argument(help="Campaign ids")], json: Json = False) -> None:
    """Send paused campaigns again."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(resume_campaigns(settings, campaigns, as_json=json))))


def run_pause(ids: Sequence[UUID], reason: str, *, is_all: bool, as_json: bool) -> int:
    """`campaigns pause`; returns the exit code."""
    from cli.console import note, run_command
    from runtime.process import EXIT_TRANSIENT, EXIT_USAGE

    if bool(ids) == is_all:
        note("Give either campaign ids, or --all for every active campaign.")
        return EXIT_USAGE
    ending = run_command(lambda settings: asyncio.run(pause_campaigns(settings, ids, reason, as_json=as_json)))
    if ending == EXIT_TRANSIENT:
        note(
            "NOT paused: PostgreSQL does not answer. Without it no sender starts a new message; "
            "to be certain, stop the sender processes."
        )
    return ending


async def pause_campaigns(settings: Settings, ids: Sequence[UUID], reason: str, *, as_json: bool) -> int:
    """Pause these campaigns, or every active one if none is named."""
    import orjson

    from cli.console import note
    from operations import pausing
    from runtime.process import EXIT_OK
    from tables.database import connect

    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-pause", session=pausing.SESSION) as connection:
        if ids:
            result = await pausing.pause(connection, ids, reason)
        else:
            result = await pausing.pause_all(connection, reason)
    if as_json:
        print(orjson.dumps({
            "paused": result.paused, "still_active": result.still_active, "refused": _documents(result.refused),
        }).decode())  # fmt: skip
    for each in result.paused:
        note(f"paused {each}")
    for each in result.still_active:
        note(f"NOT paused {each}: {pausing.LOCKED}")
    for each, why in result.refused:
        note(f"not paused {each}: {why}")
    if result == pausing.PauseResult((), ()):
        note("nothing to do: no campaign is active")
    return EXIT_NOT_ALL if result.still_active or result.refused else EXIT_OK


async def resume_campaigns(settings: Settings, ids: Sequence[UUID], *, as_json: bool) -> int:
    """Resume paused campaigns by id. There is no --all: an operator must know why each one was paused."""
    import orjson

    from cli.console import note
    from domain.lifecycle import Action
    from operations import pausing
    from runtime.process import EXIT_OK
    from tables.database import connect

    resumed: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-resume", session=pausing.SESSION) as connection:
        for each in ids:
            why = await pausing.try_action(connection, each, Action.RESUME)
            if why is None:
                resumed.append(each)
                note(f"resumed {each}")
            else:
                refused.append((each, why))
                note(f"not resumed {each}: {why}")
    if as_json:
        print(orjson.dumps({"resumed": resumed, "refused": _documents(refused)}).decode())
    return EXIT_NOT_ALL if refused else EXIT_OK


def _documents(refused: Sequence[tuple[UUID, str]]) -> list[dict[str, object]]:
    return [{"campaign_id": each, "why": why} for each, why in refused]

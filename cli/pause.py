"""`campaigns pause` and `campaigns resume`: stopping is Postgres' business alone, so it works while Kafka is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import orjson

from cli.console import note, run_command
from domain.lifecycle import Action
from operations import pausing
from runtime.process import EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE
from runtime.settings import Settings
from tables.database import connect

EXIT_NOT_ALL = 1


def run_pause(ids: Sequence[UUID], reason: str, *, is_all: bool, as_json: bool) -> int:
    """`campaigns pause`."""
    if bool(ids) == is_all:
        note("which? campaign ids, or --all")
        return EXIT_USAGE
    ending = run_command(lambda settings: asyncio.run(pause(settings, ids, reason, as_json=as_json)))
    if ending == EXIT_TRANSIENT:
        note("NOT paused. Who has no Postgres claims nothing and sends nothing; to be sure, end the senders")
    return ending


def run_resume(ids: Sequence[UUID], *, as_json: bool) -> int:
    """`campaigns resume`."""
    return run_command(lambda settings: asyncio.run(resume(settings, ids, as_json=as_json)))


async def pause(settings: Settings, ids: Sequence[UUID], reason: str, *, as_json: bool) -> int:
    """Pause these campaigns; none named: every active one."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-pause", session=pausing.SESSION) as connection:
        if ids:
            outcome = await pausing.pause(connection, ids, reason, _now)
        else:
            outcome = await pausing.pause_all(connection, reason, _now)
    if as_json:
        print(orjson.dumps({
            "paused": outcome.paused, "still_active": outcome.still_active, "refused": _documents(outcome.refused),
        }).decode())  # fmt: skip
    for each in outcome.paused:
        note(f"paused {each}")
    for each in outcome.still_active:
        note(f"NOT paused {each}: {pausing.HELD}")
    for each, why in outcome.refused:
        note(f"not paused {each}: {why}")
    if outcome == pausing.PauseResult((), ()):
        note("nothing to do: no campaign is active")
    return EXIT_NOT_ALL if outcome.still_active or outcome.refused else EXIT_OK


async def resume(settings: Settings, ids: Sequence[UUID], *, as_json: bool) -> int:
    """Resume paused campaigns, each by itself: why each was paused must be known."""
    resumed: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-resume", session=pausing.SESSION) as connection:
        for each in ids:
            why = await pausing.try_to(connection, each, Action.RESUME, _now())
            if why is None:
                resumed.append(each)
                note(f"active again: {each}")
            else:
                refused.append((each, why))
                note(f"not resumed {each}: {why}")
    if as_json:
        print(orjson.dumps({"resumed": resumed, "refused": _documents(refused)}).decode())
    return EXIT_NOT_ALL if refused else EXIT_OK


def _documents(refused: Sequence[tuple[UUID, str]]) -> list[dict[str, object]]:
    return [{"campaign_id": each, "why": why} for each, why in refused]


def _now() -> datetime:
    return datetime.now(UTC)

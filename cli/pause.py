"""`campaigns pause` and `campaigns resume`: stopping is Postgres' business alone, so it works while Kafka is away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import orjson

from cli.asking import told
from cli.processes import EXIT_USAGE
from domain.lifecycle import Action, WrongState
from runtime.process import EXIT_OK
from runtime.settings import Settings, read_settings
from sinks import campaigns, pausing
from sinks.database import connect

EXIT_NOT_ALL = 1


def run_pause(ids: Sequence[UUID], reason: str, *, is_all: bool, as_json: bool) -> int:
    """`campaigns pause`."""
    if bool(ids) == is_all:
        _say("which? campaign ids, or --all")
        return EXIT_USAGE
    return told(lambda: asyncio.run(pause(read_settings(), ids, reason, as_json=as_json)))


def run_resume(ids: Sequence[UUID]) -> int:
    """`campaigns resume`."""
    return told(lambda: asyncio.run(resume(read_settings(), ids)))


async def pause(settings: Settings, ids: Sequence[UUID], reason: str, *, as_json: bool) -> int:
    """Pause these campaigns; none named: every active one."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-pause", session=pausing.SESSION) as connection:
        try:
            if ids:
                outcome = await pausing.pause(connection, ids, reason, _now)
            else:
                outcome = await pausing.pause_all(connection, reason, _now)
        except (WrongState, campaigns.UnknownCampaign) as error:
            _say(str(error) or "there is no such campaign")
            return EXIT_NOT_ALL
    if as_json:
        print(orjson.dumps({"paused": outcome.paused, "still_active": outcome.still_active}).decode())
    for each in outcome.paused:
        _say(f"paused {each}")
    for each in outcome.still_active:
        _say(f"NOT paused {each}: something holds it; run this again")
    if not outcome.paused and not outcome.still_active:
        _say("nothing to do: no campaign is active")
    return EXIT_NOT_ALL if outcome.still_active else EXIT_OK


async def resume(settings: Settings, ids: Sequence[UUID]) -> int:
    """Resume paused campaigns, one by one: why each was paused must be known."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-resume", session=pausing.SESSION) as connection:
        for each in ids:
            try:
                await campaigns.act(connection, each, Action.RESUME, _now())
            except (WrongState, campaigns.UnknownCampaign) as error:
                _say(f"{each}: {str(error) or 'there is no such campaign'}")
                return EXIT_NOT_ALL
            _say(f"active again: {each}")
    return EXIT_OK


def _now() -> datetime:
    return datetime.now(UTC)


def _say(line: str) -> None:
    print(line, file=sys.stderr)

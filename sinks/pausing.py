"""Pausing everything at once, by Postgres alone: it must work while Kafka is away, and while some campaign is busy.

A pause holds for claims and renewals as soon as it is committed, so sending ends within two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.lifecycle import Action, WrongState
from sinks import campaigns
from sinks.database import Connection, is_transient
from sinks.statements import load

_SQL = load("standing")

SESSION = {"lock_timeout": "1000"}
"""For the connection: a campaign held by an import must not keep the others from being paused."""
ROUNDS_MAX = 10
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who is paused now, and who could not be: somebody held them all the time."""

    paused: tuple[UUID, ...]
    still_active: tuple[UUID, ...]


async def pause_all(connection: Connection, reason: str, clock: Callable[[], datetime]) -> Outcome:
    """Pause every active campaign, also those that become active meanwhile."""
    paused: list[UUID] = []
    active = await _active(connection)
    for number in range(ROUNDS_MAX):
        if not active:
            break
        if number:
            await asyncio.sleep(PAUSE_S)
        paused += [each for each in active if await _pause(connection, each, reason, clock())]
        active = await _active(connection)
    return Outcome(tuple(paused), tuple(active))


async def pause(connection: Connection, ids: Collection[UUID], reason: str, clock: Callable[[], datetime]) -> Outcome:
    """Pause these. Raises WrongState, UnknownCampaign."""
    for each in ids:
        await campaigns.act(connection, each, Action.PAUSE, clock(), reason)
    return Outcome(tuple(ids), ())


async def _active(connection: Connection) -> list[UUID]:
    return [row[0] for row in await (await connection.execute(_SQL["list_active"])).fetchall()]


async def _pause(connection: Connection, campaign: UUID, reason: str, now: datetime) -> bool:
    """False: it is not active any more, or somebody holds it."""
    try:
        await campaigns.act(connection, campaign, Action.PAUSE, now, reason)
    except (WrongState, campaigns.UnknownCampaign):
        return False
    except Exception as error:
        if connection.closed or not is_transient(error):
            raise
        return False
    return True

"""Pausing everything at once, by Postgres alone: it must work while Kafka is away, and while some campaign is busy.

A pause holds for claims and renewals as soon as it is committed, so sending ends within two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.lifecycle import Action, CampaignStatus, WrongState
from tables import campaigns
from tables.database import Connection, is_transient

SESSION = {"lock_timeout": "1000"}
"""For the connection: a campaign held by an import must not keep the others from being paused."""
ROUNDS_MAX = 10
HELD = "something holds it; run this again"
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class PauseResult:
    """What became of the campaigns that were to be paused."""

    paused: tuple[UUID, ...]
    still_active: tuple[UUID, ...]
    """Somebody held them all the time."""
    refused: tuple[tuple[UUID, str], ...] = ()
    """They cannot be paused, and why."""


async def pause_all(connection: Connection, reason: str, clock: Callable[[], datetime]) -> PauseResult:
    """Pause every active campaign, also those that become active meanwhile."""
    paused: list[UUID] = []
    active = await campaigns.active_ids(connection)
    for number in range(ROUNDS_MAX):
        if not active:
            break
        if number:
            await asyncio.sleep(PAUSE_S)
        paused += [each for each in active if await try_to(connection, each, Action.PAUSE, clock(), reason) is None]
        active = await campaigns.active_ids(connection)
    return PauseResult(tuple(paused), tuple(active))


async def pause(
    connection: Connection, ids: Collection[UUID], reason: str, clock: Callable[[], datetime]
) -> PauseResult:
    """Pause these, each by itself: one that cannot be paused keeps no other one from it."""
    paused: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    waiting = list(dict.fromkeys(ids))
    for number in range(ROUNDS_MAX):
        if not waiting:
            break
        if number:
            await asyncio.sleep(PAUSE_S)
        held = []
        for each in waiting:
            why = await try_to(connection, each, Action.PAUSE, clock(), reason)
            if why is None:
                paused.append(each)
            elif why == HELD:
                held.append(each)
            else:
                refused.append((each, why))
        waiting = held
    return PauseResult(tuple(paused), tuple(waiting), tuple(refused))


async def try_to(
    connection: Connection, campaign: UUID, action: Action, now: datetime, reason: str = campaigns.PAUSED_BY_OPERATOR
) -> str | None:
    """Why it is not done; None: it is (a pause: or was before). `HELD`: somebody holds the campaign, so try again."""
    try:
        await campaigns.act(connection, campaign, action, now, reason)
    except campaigns.UnknownCampaign:
        return "there is no such campaign"
    except WrongState as error:
        is_paused = action is Action.PAUSE and error.status is CampaignStatus.PAUSED
        return None if is_paused else str(error)
    except Exception as error:
        if connection.closed or not is_transient(error):
            raise
        return HELD
    return None

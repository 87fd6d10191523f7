"""Pauses and resumes campaigns. It needs only Postgres, so it works while Kafka is down.

Claims and renewals check the pause as soon as it is committed, so sending stops within two seconds. A campaign that
another transaction has locked is retried and does not delay the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus
from tables import campaigns
from tables.database import Connection, is_transient

SESSION = {"lock_timeout": "1000"}
"""For the connection, in ms: a campaign that an import has locked must not delay the pause of the others."""
ROUNDS_MAX = 10
LOCKED = "the campaign is locked by another transaction; run the command again"
PAUSE_S = 0.5
"""Between two rounds."""


@dataclass(frozen=True, slots=True)
class PauseResult:
    """The result for each campaign."""

    paused: tuple[UUID, ...]
    still_active: tuple[UUID, ...]
    """Another transaction kept them locked during every round."""
    refused: tuple[tuple[UUID, str], ...] = ()
    """Campaigns that cannot be paused, each with the reason."""


async def pause_all(connection: Connection, reason: str) -> PauseResult:
    """Pause every active campaign, including those that become active meanwhile."""
    paused: list[UUID] = []
    active = await campaigns.active_ids(connection)
    for number in range(ROUNDS_MAX):
        if not active:
            break
        if number:
            await asyncio.sleep(PAUSE_S)
        paused += [each for each in active if await try_action(connection, each, Action.PAUSE, reason) is None]
        active = await campaigns.active_ids(connection)
    return PauseResult(tuple(paused), tuple(active))


async def pause(connection: Connection, ids: Collection[UUID], reason: str) -> PauseResult:
    """Pause these campaigns, each in a transaction of its own: one failure does not stop the others."""
    paused: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    waiting = list(dict.fromkeys(ids))
    for number in range(ROUNDS_MAX):
        if not waiting:
            break
        if number:
            await asyncio.sleep(PAUSE_S)
        locked = []
        for each in waiting:
            why = await try_action(connection, each, Action.PAUSE, reason)
            if why is None:
                paused.append(each)
            elif why == LOCKED:
                locked.append(each)
            else:
                refused.append((each, why))
        waiting = locked
    return PauseResult(tuple(paused), tuple(waiting), tuple(refused))


async def try_action(
    connection: Connection, campaign: UUID, action: Action, reason: str = campaigns.PAUSED_BY_OPERATOR
) -> str | None:
    """Pause or resume one campaign. Returns None on success (an already paused campaign counts), else the reason.

    `LOCKED` is the one reason that a retry may remove.
    """
    try:
        await campaigns.act(connection, campaign, action, reason)
    except campaigns.UnknownCampaign:
        return "there is no such campaign"
    except ActionNotAllowed as error:
        is_paused = action is Action.PAUSE and error.status is CampaignStatus.PAUSED
        return None if is_paused else str(error)
    except Exception as error:
        if connection.closed or not is_transient(error):
            raise
        return LOCKED
    return None

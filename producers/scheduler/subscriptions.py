"""Publishing who opted out or in: what a statement left in the outbox goes to `subscription.events`, oldest first.

A loop of its own, so that this topic being away holds up no job. It decides nothing: claims and releases read Postgres.
"""

from __future__ import annotations

import asyncio

import structlog

from producers.scheduler.outbox import publish_subscriptions
from runtime.settings import Settings
from runtime.waiting import pause
from tables.leadership import Leader
from topics.publisher import AsyncPublisher, PublishFailed

ROUND_S = 1.0
CHUNK_ROWS = 1000

log = structlog.get_logger("scheduler")


async def sweep_subscriptions(
    leader: Leader, publisher: AsyncPublisher, settings: Settings, stop: asyncio.Event
) -> None:
    """A round a second; at once where a chunk was full. Kafka being away is waited for."""
    is_full = False
    while not await pause(stop, 0 if is_full else ROUND_S):
        try:
            is_full = await publish_subscriptions(leader.turn, publisher, settings, CHUNK_ROWS) >= CHUNK_ROWS
        except PublishFailed as error:
            is_full = False
            log.warning("subscriptions not published yet: Kafka is away", error=str(error))

"""Publishes opt-outs and opt-ins from the outbox to `subscription.events`, oldest first.

It is a separate loop, so that a problem with this topic delays no job. Claims and releases read only Postgres.
"""

from __future__ import annotations

import asyncio

import structlog

from producers.scheduler.outbox import publish_subscriptions
from producers.scheduler.work import WorkWatch
from runtime.settings import Settings
from tables.database import LockNotAvailable
from tables.leadership import Leader
from tables.work import WorkKind
from topics.publisher import AsyncPublisher, PublishFailed

ROUND_S = 1.0
CHUNK_ROWS = 1000

log = structlog.get_logger("scheduler")


async def sweep_subscriptions(
    leader: Leader, publisher: AsyncPublisher, settings: Settings, stop: asyncio.Event, work: WorkWatch
) -> None:
    """Run a round every second while there are changes, or at once after a full chunk.

    A round is repeated while Kafka is away.
    """
    is_full = False
    while await work.next_round(stop, frozenset({WorkKind.SUBSCRIPTIONS}), 0 if is_full else ROUND_S) is not None:
        try:
            is_full = await publish_subscriptions(leader.turn, publisher, settings, CHUNK_ROWS) >= CHUNK_ROWS
        except PublishFailed as error:
            is_full = False
            log.warning("Kafka is away; subscription events wait in the outbox", error=str(error))
        except LockNotAvailable:
            is_full = False
            log.warning("a row of the outbox is locked; subscription events wait for the next round")

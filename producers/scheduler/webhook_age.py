"""Watches how far the webhooks are applied, and stores the moment up to which all of them are (`domain.webhook_age`).

A sender stops claiming when that moment is more than 60 s ago. So it also stops when nobody watches.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import structlog

from domain.webhook_age import AppliedMarks, Offsets
from runtime import metrics
from runtime.process import Transient
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.places import TopicIdentity
from schemas.topics import Topic
from tables import offsets, webhook_progress
from tables.database import Connection, LockNotAvailable
from tables.leadership import Leader
from tables.server import read_clock
from topics.identity import Identities
from topics.pipeline_offsets import PipelineOffsets

ROUND_S, IDLE_ROUND_S = 2.0, 5.0
"""Pauses between two rounds: after one that found webhooks under way, and after one that found none."""
IDENTIFY_EVERY_S = 10.0
IDENTIFY_TIMEOUT_S = 3.0
EVENT_TOPICS = (Topic.RECIPIENT_EVENTS, Topic.SUBSCRIPTION_EVENTS)
"""What the reconciler writes to."""

log = structlog.get_logger("scheduler")


async def watch_webhooks(leader: Leader, settings: Settings, stop: asyncio.Event) -> None:
    """Run rounds until `stop`. Raises psycopg.Error when the connection is lost."""
    watch, is_silent, is_idle = WebhookWatch(leader, settings), False, False
    try:
        while not await pause(stop, IDLE_ROUND_S if is_idle else ROUND_S):
            is_idle = False
            try:
                is_idle = await watch.look()
                is_silent = False
            except Transient as error:
                if not is_silent:  # one line for an outage
                    log.info("Kafka does not state how far the webhooks are applied", error=str(error))
                is_silent = True
            except LockNotAvailable:
                log.warning("the row of the webhooks' progress is locked; the next round writes it")
    finally:
        watch.close()


class WebhookWatch:
    """One leader's marks. A new leader begins with none, so its first answer takes one pass of the backlog."""

    def __init__(self, leader: Leader, settings: Settings) -> None:
        self._leader = leader
        self._kafka = PipelineOffsets(settings)
        self._marks = AppliedMarks()
        self._ids = Identities(settings)
        self._identities: list[TopicIdentity] = []
        self._identify_at = 0.0

    async def look(self) -> bool:
        """One round. Returns whether no webhook has come since the last one. Raises Transient without Kafka.

        The readings come in the order that `domain.webhook_age` needs.
        """
        async with self._leader.turn() as connection:
            now = await read_clock(connection)
        received = await self._kafka.ends([Topic.WEBHOOKS_RAW])
        is_idle = self._marks.is_applied(received)
        through = now if is_idle else await self._through(now, received)
        async with self._leader.turn() as connection:
            if through is None:
                age_s = await webhook_progress.read_age(connection)
            else:
                age_s = await webhook_progress.record(connection, through)
        metrics.WEBHOOKS_APPLIED_AGE_SECONDS.set(age_s or 0.0)
        return is_idle

    async def _through(self, now: datetime, received: Offsets) -> datetime | None:
        """The moment up to which everything is applied, if it is later than before."""
        self._marks.mark(now, received)
        reconciled = await self._kafka.reconciled(received)
        self._marks.reconcile(reconciled, await self._kafka.ends(EVENT_TOPICS))
        await self._identify()
        async with self._leader.turn() as connection:
            return self._marks.apply(await self._applied(connection))

    def close(self) -> None:
        """Close the clients. Does not wait."""
        self._kafka.close()

    async def _identify(self) -> None:
        """Read the ids of the event topics now and then. Stored offsets of a topic that was recreated mean nothing."""
        if time.monotonic() < self._identify_at:
            return
        self._identities = [await self._ids.identify(topic, IDENTIFY_TIMEOUT_S) for topic in EVENT_TOPICS]
        self._identify_at = time.monotonic() + IDENTIFY_EVERY_S

    async def _applied(self, connection: Connection) -> Offsets:
        """The offsets that the sinks have stored."""
        found: dict[tuple[str, int], int] = {}
        for identity in self._identities:
            stored = await offsets.read_stored(connection, identity.topic)
            for partition, known in stored.items():
                if (known.cluster_id, known.topic_id) == (identity.cluster_id, identity.topic_id):
                    found[identity.topic, partition] = known.next_offset
        return found

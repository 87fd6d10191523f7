"""Publishes rows that a committed transaction left for Kafka: released jobs, outcomes of the ledger, subscriptions.

A row is marked as published after Kafka has acknowledged it. A crash in between publishes it again, which is harmless:
a job can be claimed only once, and merging an event twice changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import structlog

from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.places import Outgoing
from schemas.topics import Topic
from tables import ledger, publications, subscriptions
from tables.database import Connection
from topics.identity import Identities
from topics.jobs import PUBLISH_TIMEOUT_S, publish_jobs
from topics.outcomes import publish_stored
from topics.publisher import Publisher, PublishFailed

IDENTIFY_EVERY_S = 10.0
IDENTIFY_TIMEOUT_S = 3.0

log = structlog.get_logger("scheduler")

Turn: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Lends a connection for one statement, so that no connection is held while Kafka is slow."""


class JobsTopic:
    """The id of `send.jobs`. It changes when the topic is recreated, and the places of jobs then mean nothing."""

    def __init__(self, settings: Settings) -> None:
        self._identities = Identities(settings)
        self._read_at = 0.0
        self.id: str | None = None
        """None until Kafka has answered."""

    async def refresh(self) -> None:
        """Read the id, if the last reading is some seconds old. While Kafka is away the last known id stays."""
        if time.monotonic() < self._read_at:
            return
        try:
            self.id = (await self._identities.identify(Topic.SEND_JOBS, IDENTIFY_TIMEOUT_S)).topic_id
        except Transient as error:
            log.info("Kafka did not name the topic of jobs; it is asked again", error=str(error))
        self._read_at = time.monotonic() + IDENTIFY_EVERY_S


async def publish_and_record_jobs(
    turn: Turn,
    publisher: Publisher,
    settings: Settings,
    jobs: Sequence[SendJob],
    topic_id: str | None,
    *,
    is_keyed: bool = True,
) -> None:
    """Publish released jobs and record where they are. `is_keyed`: to the partition of the key, or to any.

    Raises PublishFailed once the acknowledged jobs are recorded. So a partition without a leader holds up only its own
    jobs, and the next round finds those again.
    """
    if not jobs:
        return
    try:
        places = await publish_jobs(publisher, settings, jobs, is_keyed=is_keyed)
    except PublishFailed as error:
        if error.acknowledged:
            arrived = [jobs[index] for index in error.acknowledged]
            async with turn() as connection:
                await publications.record_published(connection, arrived, [*error.acknowledged.values()], topic_id)
        raise
    async with turn() as connection:
        await publications.record_published(connection, jobs, places, topic_id)


async def publish_outcomes(
    turn: Turn, publisher: Publisher, settings: Settings, outcomes: Sequence[ledger.UnpublishedOutcome]
) -> None:
    """Publish the stored events of the ledger and mark them. Raises PublishFailed."""
    if not outcomes:
        return
    await publish_stored(publisher, settings.topic(Topic.RECIPIENT_EVENTS), outcomes, PUBLISH_TIMEOUT_S)
    async with turn() as connection:
        await ledger.mark_published(connection, outcomes)


async def publish_subscriptions(turn: Turn, publisher: Publisher, settings: Settings, limit: int) -> int:
    """Publish the oldest unpublished subscriptions, mark them, and return how many. Raises PublishFailed."""
    async with turn() as connection:
        waiting = await subscriptions.unpublished(connection, limit)
    if not waiting:
        return 0
    topic = settings.topic(Topic.SUBSCRIPTION_EVENTS)
    records = [Outgoing(topic, each.event.key, encode(each.event)) for each in waiting]
    await publisher.publish_batch(records, PUBLISH_TIMEOUT_S)
    async with turn() as connection:
        await subscriptions.mark_published(connection, waiting)
    return len(waiting)

"""Publishes rows that a committed transaction left for Kafka: released jobs, outcomes of the ledger, subscriptions.

A row is marked as published after Kafka has acknowledged it. A crash in between publishes it again, which is harmless:
a job can be claimed only once, and merging an event twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from runtime.settings import Settings
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.places import Outgoing
from schemas.topics import Topic
from tables import ledger, releases, subscriptions
from tables.database import Connection
from topics.jobs import PUBLISH_TIMEOUT_S, publish_jobs
from topics.publisher import Publisher

Turn: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Lends a connection for one statement, so that no connection is held while Kafka is slow."""


async def publish_and_record_jobs(
    turn: Turn, publisher: Publisher, settings: Settings, jobs: Sequence[SendJob]
) -> None:
    """Publish released jobs and record where they are. Raises PublishFailed; the next round finds them again."""
    if not jobs:
        return
    places = await publish_jobs(publisher, settings, jobs)
    async with turn() as connection:
        await releases.record_published(connection, jobs, places)


async def publish_outcomes(
    turn: Turn, publisher: Publisher, settings: Settings, outcomes: Sequence[ledger.UnpublishedOutcome]
) -> None:
    """Publish the stored events of the ledger and mark them. Raises PublishFailed."""
    if not outcomes:
        return
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    records = [Outgoing(topic, each.kafka_key, each.event.encode()) for each in outcomes]
    await publisher.publish_batch(records, PUBLISH_TIMEOUT_S)
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

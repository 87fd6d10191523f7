"""Publishes snapshots in Kafka transactions of one transactional.id. A new publisher fences all earlier ones.

So a publisher that was frozen while it lost its lock cannot write an older snapshot after a newer one. Compaction would
keep that older one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from confluent_kafka import KafkaException, Producer

from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import encode
from schemas.model import CampaignId
from schemas.stats import CampaignStats, snapshot_key
from schemas.timeline import CampaignMinute
from schemas.topics import Topic
from topics.clients import producer_config
from topics.errors import error_of

TIMEOUT_S = 20.0
SNAPSHOT_BYTES_MAX = 256 * 1024
"""A larger snapshot is not published. Usual ones have a few KB, and Kafka takes 1 MiB. It is decided here, because a
broker that refuses a record fails the transaction and leaves the producer with a gap in its sequence numbers."""

log = structlog.get_logger(__name__)


class NotPublished(Transient):
    """Kafka did not commit the snapshots. They may be published again."""


class PublisherFenced(Transient):
    """Another publisher has taken over, or the producer has failed. A new producer is needed."""


class SnapshotPublisher:
    """Publishes batches of snapshots, each batch in one transaction."""

    def __init__(self, settings: Settings) -> None:
        self._stats, self._timeline = settings.topic(Topic.CAMPAIGN_STATS), settings.topic(Topic.CAMPAIGN_TIMELINE)
        config = producer_config(
            settings, transactional_id=f"{settings.topic_prefix}campaigns-stats", linger_ms=0, message_timeout_ms=15_000
        )
        self._producer = Producer(config)

    async def open(self) -> None:
        """Take over. Raises PublisherFenced if Kafka does not answer."""
        try:
            await asyncio.to_thread(self._producer.init_transactions, TIMEOUT_S)
        except KafkaException as error:
            raise PublisherFenced(f"stats publisher: {error}") from error

    async def publish(self, snapshots: Sequence[CampaignStats]) -> list[CampaignStats]:
        """Publish, and return the snapshots that are too large. The others are committed when it returns.

        Raises NotPublished or PublisherFenced.
        """
        records = [(snapshot, encode(snapshot)) for snapshot in snapshots]
        fitting = [(snapshot.key, value) for snapshot, value in records if len(value) <= SNAPSHOT_BYTES_MAX]
        if fitting:
            await asyncio.to_thread(self._publish, self._stats, fitting)
        return [snapshot for snapshot, value in records if len(value) > SNAPSHOT_BYTES_MAX]

    async def publish_minutes(self, minutes: Sequence[CampaignMinute]) -> None:
        """Publish minutes of campaigns. They are committed when it returns. Raises NotPublished or PublisherFenced."""
        await asyncio.to_thread(self._publish, self._timeline, [(each.key, encode(each)) for each in minutes])

    async def delete(self, campaigns: Sequence[CampaignId]) -> None:
        """Publish a record without a value for each campaign: compaction then removes its snapshots.

        They are committed when it returns. Raises NotPublished or PublisherFenced.
        """
        await asyncio.to_thread(self._publish, self._stats, [(snapshot_key(each), None) for each in campaigns])

    async def close(self) -> None:
        """Close without waiting: the next publisher publishes what is not committed."""
        try:
            await asyncio.to_thread(self._producer.flush, 1.0)
        except KafkaException as error:  # the reason for closing is known already; this error must not hide it
            log.info("the producer could not flush at its end", error=str(error))

    def _publish(self, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        try:
            self._producer.begin_transaction()
            for key, value in records:
                self._producer.produce(topic, key=key, value=value)
            self._producer.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            self._abort(error)

    def _abort(self, error: KafkaException) -> None:
        cause = error_of(error)
        if cause.fatal() or not cause.txn_requires_abort():
            raise PublisherFenced(f"stats publisher: {cause.str()}") from error
        try:
            self._producer.abort_transaction(TIMEOUT_S)
        except KafkaException as failed:
            raise PublisherFenced(f"stats publisher: {failed}") from error
        raise NotPublished(f"stats publisher: {cause.str()}") from error

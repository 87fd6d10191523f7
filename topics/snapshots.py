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
from schemas.stats import CampaignStats
from schemas.topics import Topic
from topics.clients import producer_config
from topics.errors import error_of

TIMEOUT_S = 20.0

log = structlog.get_logger(__name__)


class NotPublished(Transient):
    """Kafka did not commit the snapshots. They may be published again."""


class PublisherFenced(Transient):
    """Another publisher has taken over, or the producer has failed. A new producer is needed."""


class SnapshotPublisher:
    """Publishes batches of snapshots, each batch in one transaction."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic(Topic.CAMPAIGN_STATS)
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

    async def publish(self, snapshots: Sequence[CampaignStats]) -> None:
        """Publish. The snapshots are committed when it returns. Raises NotPublished or PublisherFenced."""
        await asyncio.to_thread(self._publish, snapshots)

    async def close(self) -> None:
        """Close without waiting: the next publisher publishes what is not committed."""
        try:
            await asyncio.to_thread(self._producer.flush, 1.0)
        except KafkaException as error:  # the reason for closing is known already; this error must not hide it
            log.info("the producer could not flush at its end", error=str(error))

    def _publish(self, snapshots: Sequence[CampaignStats]) -> None:
        try:
            self._producer.begin_transaction()
            for snapshot in snapshots:
                self._producer.produce(self._topic, key=snapshot.key, value=encode(snapshot))
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

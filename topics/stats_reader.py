"""Follows `campaign.stats` for live pages: the newest records first, then each one as it is committed.

It joins no group and commits nothing, because a page needs no record that it has missed: a snapshot is absolute. It
begins a little before the end of each partition, so that a new process knows the campaigns that are active.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import Malformed, decode
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from schemas.topics import Topic
from topics.clients import observer_config
from topics.errors import as_transient, needs_operator
from topics.watermarks import read_watermarks

RECENT_RECORDS = 500
"""Records of each partition that are read at the start."""
RECORDS_MAX = 500
POLL_S = 0.25
TIMEOUT_S = 3.0
CHECK_EVERY_S = 2.0
"""After this time without a record the broker is queried: silence alone does not show whether it is there."""
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StatsNews:
    """Snapshots in the order of their partition, and campaigns whose snapshots were deleted."""

    snapshots: tuple[CampaignStats, ...]
    deleted: tuple[CampaignId, ...]


class StatsReader:
    """A consumer of all partitions. Its blocking calls run in one thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic(Topic.CAMPAIGN_STATS)
        self._consumer = Consumer(
            observer_config(
                settings, "live", isolation_level="read_committed", auto_offset_reset="latest", fetch_wait_max_ms=250
            )
        )
        self._thread = ThreadPoolExecutor(1, "stats-reader")
        self._checked_at = time.monotonic()

    async def open(self) -> None:
        """Begin shortly before the end of each partition. Raises Transient without Kafka or without the topic."""
        await self._call(self._assign)

    async def take(self) -> StatsNews:
        """The next records; nothing after a while without any. Raises Transient if Kafka does not answer."""
        messages = await self._call(self._poll)
        snapshots: list[CampaignStats] = []
        deleted: list[CampaignId] = []
        for message in messages:
            if message.error() is not None:
                self._judge(message)
            elif message.value() is None:
                deleted += _campaign_of(message)
            else:
                snapshots += _snapshot_of(message)
        return StatsNews(tuple(snapshots), tuple(deleted))

    async def close(self) -> None:
        """Close the consumer."""
        await self._call(self._consumer.close)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _judge(self, message: Message) -> None:
        error = message.error()
        if error is not None and needs_operator(error):
            raise Transient(f"topic {self._topic}: {error.str()}")

    # The methods below run in the thread of the consumer.

    def _assign(self) -> None:
        try:
            listed = self._consumer.list_topics(self._topic, TIMEOUT_S).topics[self._topic]
            if listed.error is not None:
                raise Transient(f"topic {self._topic}: {listed.error.str()}")
            ends = read_watermarks(self._consumer, self._topic, listed.partitions, TIMEOUT_S)
            self._consumer.assign(
                [TopicPartition(self._topic, p, max(low, high - RECENT_RECORDS)) for p, (low, high) in ends.items()]
            )
        except KafkaException as error:
            raise as_transient(error, f"topic {self._topic}") from error
        self._checked_at = time.monotonic()

    def _poll(self) -> list[Message]:
        first = self._consumer.poll(POLL_S)
        if first is not None:
            self._checked_at = time.monotonic()
            return [first, *self._consumer.consume(RECORDS_MAX - 1, 0)]
        if time.monotonic() - self._checked_at > CHECK_EVERY_S:
            try:
                read_watermarks(self._consumer, self._topic, [0], TIMEOUT_S)
            except KafkaException as error:
                raise as_transient(error, f"topic {self._topic}") from error
            self._checked_at = time.monotonic()
        return []


def _snapshot_of(message: Message) -> list[CampaignStats]:
    try:
        return [decode(CampaignStats, message.value())]
    except Malformed as error:  # another program may write to the topic; the snapshots of the others are shown
        log.warning("a record of the stats is malformed", partition=message.partition(), reason=str(error))
        return []


def _campaign_of(message: Message) -> list[CampaignId]:
    try:
        return [CampaignId(UUID((message.key() or b"").decode("ascii", "replace")))]
    except ValueError:
        return []
